"""Entity rows: one SELECT that writes nothing, and columns whose names are told apart."""

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from martfeast.offline_store import OfflineDataError
from pyarrow import parquet
from test_offline_store import START, retrieve, view_of

WAREHOUSE = {"warehouse": "warehouse.duckdb"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A feature repo with a view's file and a warehouse."""
    table = pa.table({"k": [1], "ts": [START], "trips": [7]})
    parquet.write_table(table, tmp_path / "facts.parquet")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "create sequence numbers; create table asked as"
            " select 1::bigint as k, timestamp '2026-03-03' as event_timestamp;"
            f"create view landed as select k, ts as at from '{tmp_path}/facts.parquet'"
        )
    return tmp_path


def job_of(folder: Path, entity_df: Any) -> Any:
    view = view_of("v", "facts.parquet", ["k"], ["trips"], created=None)
    return retrieve(folder, [view], ["v:trips"], entity_df, settings=WAREHOUSE)


@pytest.mark.parametrize(
    "query",
    [
        "select * from asked",
        "select * from asked;",
        "select * from asked; ; -- all of them",
        "select * from asked -- all of them",
        "SELECT * from asked -- not of rows.parquet",
        "select * from asked /* all; of them */",
        "from asked where ';' <> '--'",
        "with these as (from asked) (select * from these) union all (from asked limit 0)",
        "from landed",
        "select k, ts as at from '{folder}/facts.parquet'",
    ],
)
def test_one_select_is_taken_however_it_ends(folder, query):
    """It may read files: views of a warehouse do."""
    assert job_of(folder, query.format(folder=folder)).to_arrow()["trips"].to_pylist() == [7]


@pytest.mark.parametrize(
    "query",
    [
        "select * from asked) ; copy (select 1) to '{out}'; select * from (from asked",
        "select * from asked; copy (select 1) to '{out}'",
        "copy asked to '{out}'",
        "insert into asked from asked returning *",
        "with new as (insert into asked from asked returning *) from new",
        "create table other as from asked",
        "attach '{out}'",
        "export database '{out}'",
        "select * replace (nextval('numbers') as k) from asked",
        "select asked.* from asked, query('drop table asked')",
        "select asked.* from asked, enable_logging(storage_path = '{out}')",
        "select asked.* from asked, enable_profiling(save_location = '{out}.txt')",
        "set threads = 1",
        "explain from asked",
        "pivot asked on k using count(*)",
        "",
        "-- nothing",
    ],
)
def test_what_is_not_one_select_or_writes_is_refused_and_writes_nothing(folder, query):
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    with pytest.raises(OfflineDataError, match=r"^The entity (frame cannot|rows are one SE)"):
        job_of(folder, query.format(out=folder / "out"))
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    "query", ["selec 1", "from nowhere", "select $1 as k", "select error('no')", "select '\ud800'"]
)
def test_a_query_that_fails_is_quoted_with_why(folder, query):
    with pytest.raises(OfflineDataError, match=r"cannot be read: .+\. It was: ") as caught:
        job_of(folder, query)
    assert str(caught.value).isprintable()


def doubled(names: list[str]) -> dict[str, Any]:
    """One row whose columns have these names: in pandas, Arrow, a query and a file."""
    arrays = [pa.array([1]), pa.array([START]), pa.array([2])]
    listed = ", ".join(
        f'{sql} as "{name}"'
        for sql, name in zip(("1::bigint", f"timestamp '{START}'", "2"), names, strict=True)
    )
    table = pa.table(arrays, names=names)
    frame = pd.DataFrame({n: array.to_pandas() for n, array in enumerate(arrays)})
    return {
        "pandas": frame.set_axis(names, axis=1),
        "arrow": table,
        "query": f"select {listed}",
        "file": table,
    }


@pytest.mark.parametrize("kind", ["pandas", "arrow", "query", "file"])
def test_two_columns_of_one_name_are_refused_and_of_two_cases_told_apart(folder, kind):
    def given(names: list[str]) -> Any:
        entity_df = doubled(names)[kind]
        if kind == "file":
            parquet.write_table(entity_df, folder / "spine.parquet")
            return "spine.parquet"
        return entity_df

    with pytest.raises(OfflineDataError, match=r"has two columns of one name: k\. Rename one"):
        job_of(folder, given(["k", "event_timestamp", "k"]))
    job = job_of(folder, given(["k", "event_timestamp", "K"]))
    table = job.to_arrow()
    assert [table[name].to_pylist() for name in ("k", "K", "trips")] == [[1], [2], [7]]
    with pytest.raises(OfflineDataError, match="The columns k and K differ only by case"):
        job.persist(SavedDatasetFileStorage(path="out.parquet"))
    assert not (folder / "out.parquet").exists()


def test_two_columns_of_a_view_that_differ_by_case_are_not_mistaken(folder):
    table = pa.table({"k": [1], "ts": [START], "trips": [7], "Trips": [8]})
    parquet.write_table(table, folder / "facts.parquet")
    asked = "select * from asked"
    assert job_of(folder, asked).to_arrow()["trips"].to_pylist() == [7]
    parquet.write_table(table.select(["k", "ts", "Trips", "trips"]), folder / "facts.parquet")
    with pytest.raises(OfflineDataError, match=r"has no column trips\. .* differ only by case"):
        job_of(folder, asked)


def test_a_frame_without_columns_and_names_that_cannot_be_written_are_refused(folder):
    with pytest.raises(OfflineDataError, match="The entity frame has no columns"):
        job_of(folder, pd.DataFrame())
    with pytest.raises(OfflineDataError, match=r"column \\ud800 cannot be read") as caught:
        job_of(folder, pd.DataFrame({"k": [1], "event_timestamp": [START], "\ud800": [1]}))
    assert str(caught.value).isprintable()
    with pytest.raises(OfflineDataError, match=r"cannot be read: .* It was: \\ud800"):
        job_of(folder, "\ud800.parquet")
