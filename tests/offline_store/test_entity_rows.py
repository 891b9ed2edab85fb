"""Entity rows: one SELECT that writes nothing, and columns whose names are told apart."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from asof_oracle import START, retrieve, view_of
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from martfeast.offline_store import OfflineDataError
from pyarrow import parquet

WAREHOUSE = {"warehouse": "warehouse.duckdb", "readable_paths": ["landed", "one.parquet"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A feature repo with a view's file and a warehouse."""
    table = pa.table({"k": [1], "ts": [START], "trips": [7]})
    for name in ("facts", "landed/a", "one", "landed_not/a", "other", "landed/a'[b]"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "create sequence numbers; create table asked as"
            " select 1::bigint as k, timestamp '2026-03-03' as event_timestamp;"
            f"create view landed as select k, ts as at from '{tmp_path}/landed/*.parquet' limit 1;"
            f"create view other as select k, ts as at from '{tmp_path}/other.parquet';"
            "create macro run(sql) as table from query(sql)"
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
        "select k, ts as at from '{folder}/one.parquet'",
        "select k, ts as at from '{folder}/landed/../landed/a''[[]b].parquet'",
    ],
)
def test_one_select_is_taken_however_it_ends(folder, query):
    """It may read the files of the views asked for, and those that the settings name."""
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
        "select asked.* from asked, run('drop table asked')",
        "select asked.* from asked, QUERY('select 1')",
        "with new as (copy asked to '{out}') from asked",
        "with new as (copy asked to '{folder}/landed/new.parquet') from asked",
        "with new as (copy asked to '{folder}/facts.parquet') from asked",
        "select asked.* from asked, run('with new as (copy asked to ''{folder}/one.parquet'') from"
        " new')",
        "from system.main.\"Json_Execute_Serialized_Sql\"('{copy}')",
        "from query('from json_execute_serialized_sql(''{copy}'')')",
        "with new as (insert into memory.main.asked from asked) from asked",
        "with new as (delete from asked returning *) from new",
        "select * replace (currval('numbers') + nextval('numbers') as k) from asked",
        "select asked.* from asked, glob('/etc/*')",
        "select asked.*, content from asked, read_text('/etc/passwd')",
        "select asked.*, content from asked, read_blob('file:///etc/passwd')",
        "select asked.* from asked, read_csv('/etc/passwd')",
        "select asked.* from asked, sniff_csv('/etc/passwd')",
        "select asked.* from asked, '{folder}/other.parquet'",
        "select asked.* from asked, '{folder}/landed_not/a.parquet'",
        "select asked.* from asked, '{folder}/landed/../other.parquet'",
        "select asked.* from asked, '{folder}/*.parquet'",
        "select asked.* from asked, parquet_metadata('{folder}/other.parquet')",
        "select asked.* from asked, read_parquet('http://127.0.0.1:9/a.parquet')",
        "select asked.* from asked, duckdb_secrets()",
        "select k, ts as at from table_of_python",
        "from other",
        "select asked.*, getenv('HOME') from asked",
        "call pragma_version()",
        "pragma version",
        "install httpfs",
        "load httpfs",
        "set variable k = 1",
        "begin",
        "checkpoint",
        "detach warehouse",
        "use memory",
        "prepare q as from asked",
        "vacuum",
        "delete from asked",
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
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    table_of_python = pa.table({"k": [1], "ts": [START]})
    copy = f"with new as (copy (select 1) to '{folder}/landed/new.csv') from new"
    ((tree,),) = duckdb.execute("select json_serialize_sql(?::varchar)", [copy]).fetchall()
    tree = json.dumps(json.loads(tree)).replace("'", "''")
    before = contents()
    with pytest.raises(OfflineDataError, match=r"^The entity (frame cannot|rows are one SE)"):
        job_of(folder, query.format(out=folder / "out", folder=folder, copy=tree))
    assert contents() == before
    assert len(table_of_python) == 1


def test_a_file_that_no_setting_names_is_refused_with_the_setting(folder):
    for query in ("from other", "from '/etc/passwd.csv'"):
        with pytest.raises(OfflineDataError, match=r"offline_store\.readable_paths in feature_st"):
            job_of(folder, query)


def test_a_query_keeps_types_that_arrow_lacks_and_values_to_the_last_place(folder):
    values = (
        "(-2)::hugeint ** 3 as h, 3::uhugeint as u, uuid() as id, 'a'::enum('a', 'b') as e,"
        " 1.5::decimal(38, 20) as d, null as n, interval 1 month as i, '101'::bit as b,"
        " 0.1::double as f, {'a': [1]} as s, map {'a': 1} as m, time '12:00' as t"
    )
    query = f"select *, {values} from asked"
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        types = [row[1] for row in connection.execute(f"describe {query}").fetchall()]
    frame = job_of(folder, query)._spine.frame
    assert [*frame.columns.types.values()] == types


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
