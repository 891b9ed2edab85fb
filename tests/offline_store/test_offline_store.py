"""The offline store against a brute-force oracle in plain Python, and what it says of bad input."""

import gc
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from asof_oracle import START, cases, compare_with_the_oracle, config_of, retrieve, view_of
from commands import Command
from feast import FileSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from martfeast.offline_store import (
    DuckDBAsofOfflineStore,
    OfflineDataError,
    joined_view,
)
from pyarrow import parquet

STORE = DuckDBAsofOfflineStore
Row = dict[str, Any]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    case=cases,
    is_zoned=st.booleans(),
    as_pandas=st.booleans(),
    few_rows=st.sampled_from([-1, joined_view.FEW_ROWS_OF_A_KEY]),
)
def test_the_store_finds_what_the_oracle_finds(tmp_path, case, is_zoned, as_pandas, few_rows):
    """By either plan: with -1 no view is searched."""
    with patch.object(joined_view, "FEW_ROWS_OF_A_KEY", few_rows):
        compare_with_the_oracle(tmp_path, case, is_zoned, as_pandas)


# Made cases


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    duckdb.execute(
        f"""
        copy (
            from (values
                (1::bigint, timestamp '2026-03-01', timestamp '2026-03-01 01:00:00', 10::bigint),
                (1, timestamp '2026-03-02 00:00:00', timestamp '2026-03-05 00:00:00', 20),
                (2, timestamp '2026-03-01 00:00:00', timestamp '2026-03-01 00:00:00', null)
            ) as t (k, ts, created, trips)
        ) to '{tmp_path}/facts.parquet' (format parquet)
        """
    )
    return tmp_path / "facts.parquet"


def entity_rows(*rows: tuple[int | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "k": pd.array([key for key, _ in rows], dtype="Int64"),
            # pandas' stubs know no missing text in a list.
            "event_timestamp": pd.to_datetime(cast(list[str], [at for _, at in rows]), utc=True),
        }
    )


def test_one_row_per_entity_row_in_their_order_with_integers(facts_file, tmp_path):
    spine = entity_rows((2, "2026-03-03"), (1, "2026-03-03"), (9, "2026-03-03"), (1, "2026-03-03"))
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    frame = retrieve(tmp_path, [view], ["v:trips"], spine).to_df()
    assert frame["k"].tolist() == [2, 1, 9, 1]
    assert frame["trips"].dtype == pd.Int64Dtype()
    assert frame["trips"].fillna(-1).tolist() == [-1, 20, -1, 20]
    full = retrieve(tmp_path, [view], ["v:trips"], spine.iloc[[1]]).to_df()
    assert full["trips"].dtype == "int64"


def test_the_entity_frame_is_not_changed(facts_file, tmp_path):
    """Columns of any type come back as they were, the moment with its zone."""
    spine = entity_rows((1, "2026-03-03 00:00:00.123456"))
    spine["event_timestamp"] = spine["event_timestamp"].dt.tz_convert("Asia/Tokyo")
    spine["label"] = ["late"]
    spine["A"], spine["a"] = [1.5], [True]
    spine["kind"] = pd.Categorical(["domestic"])
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    frame = retrieve(tmp_path, [view], ["v:trips"], spine).to_df()
    assert list(frame.columns) == [*spine.columns, "trips"]
    pd.testing.assert_frame_equal(frame[spine.columns], spine, check_dtype=False)
    for name in ("event_timestamp", "label", "A", "a", "kind"):
        assert frame[name].dtype == spine[name].dtype, name


@pytest.mark.slow  # a process for each zone
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_machines_zone_does_not_matter(facts_file, tmp_path, zone):
    environment = {**os.environ, "TZ": zone}
    command = Command("-m", "in_a_zone", str(tmp_path), cwd=tmp_path, environment=environment)
    assert command.wait().stdout == f"[('{zone}',)] [10, 20]\n"


@pytest.mark.parametrize("name", ["trips_y", "rn", "entity_row_id", "n o'clock", 'say "hi"', "k0"])
def test_any_column_name_works(tmp_path, name):
    table = pa.table({"k": [1], "ts": [START], name: [7]})
    parquet.write_table(table, tmp_path / "odd.parquet")
    view = view_of("v", "odd.parquet", ["k"], [name], created=None)
    frame = retrieve(tmp_path, [view], [f"v:{name}"], entity_rows((1, "2026-03-03"))).to_df()
    assert frame[name].tolist() == [7]


def test_a_name_may_be_that_of_an_entity_column_with_full_names_on(facts_file, tmp_path):
    spine = entity_rows((1, "2026-03-03")).assign(trips=[99])
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    frame = retrieve(tmp_path, [view], ["v:trips"], spine, full_feature_names=True).to_df()
    assert (frame["trips"].tolist(), frame["v__trips"].tolist()) == ([99], [20])
    with pytest.raises(OfflineDataError, match="trips is a column of the entity frame and a feat"):
        retrieve(tmp_path, [view], ["v:trips"], spine)


def test_join_key_aliases_and_mapped_fields(facts_file, tmp_path):
    view = view_of(
        "v", "facts.parquet", ["key"], ["rides"],
        mapping={"k": "key", "trips": "rides"}, join_key_map={"key": "origin"},
    )  # fmt: skip
    spine = entity_rows((1, "2026-03-03")).rename(columns={"k": "origin"})
    frame = retrieve(tmp_path, [view], ["v:rides"], spine).to_df()
    assert frame["rides"].tolist() == [20]


def test_a_view_without_entities(tmp_path):
    times = [START, START + timedelta(days=1)]
    parquet.write_table(pa.table({"ts": times, "load": [1, 2]}), tmp_path / "world.parquet")
    view = view_of("world", "world.parquet", [], ["load"], created=None)
    spine = entity_rows((1, "2026-02-28"), (2, "2026-03-01"), (3, "2026-03-05"))
    frame = retrieve(tmp_path, [view], ["world:load"], spine).to_df()
    assert frame["load"].fillna(-1).tolist() == [-1, 1, 2]


def test_entity_rows_from_sql_a_file_and_arrow(facts_file, tmp_path):
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    spine = entity_rows((1, "2026-03-03"), (2, "2026-03-03"))
    spine.to_parquet(tmp_path / "spine.parquet")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema marts; create table marts.asked as from spine")
    expected = retrieve(tmp_path, [view], ["v:trips"], spine).to_df()
    for entity_df in (
        pa.Table.from_pandas(spine),
        "spine.parquet",
        tmp_path / "spine.parquet",
        "select * from marts.asked order by k;",
    ):
        job = retrieve(
            tmp_path, [view], ["v:trips"], entity_df, settings={"warehouse": "warehouse.duckdb"}
        )
        pd.testing.assert_frame_equal(job.to_df(), expected, check_dtype=False)
        assert job.metadata.min_event_timestamp == datetime(2026, 3, 3)
        assert job.metadata.keys == ["k"]


def test_without_an_entity_frame_there_is_a_row_for_each_key_and_timestamp(facts_file, tmp_path):
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    job = retrieve(
        tmp_path, [view], ["v:trips"], None,
        start_date=datetime(2026, 3, 1, 12), end_date=datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    assert job.to_arrow().to_pylist() == [
        {"event_timestamp": datetime(2026, 3, 2, tzinfo=UTC), "k": 1, "trips": 20}
    ]
    other = view_of("w", "facts.parquet", ["trips"], ["k"])
    with pytest.raises(OfflineDataError, match="all views must have the same keys"):
        retrieve(tmp_path, [view, other], ["v:trips", "w:k"], None, start_date=START)


def test_many_views_are_joined_side_by_side(tmp_path):
    views, refs = [], []
    for number in range(50):
        names = [f"f_{number}_{feature}" for feature in range(20)]
        columns = {name: [number * 100 + index] for index, name in enumerate(names)}
        table = pa.table({"k": [number % 3], "ts": [START], **columns})
        parquet.write_table(table, tmp_path / f"v{number}.parquet")
        views.append(view_of(f"v{number}", f"v{number}.parquet", ["k"], names, created=None))
        refs += [f"v{number}:{name}" for name in names]
    spine = entity_rows(*((n % 3, "2026-03-03") for n in range(300)))
    table = retrieve(tmp_path, views, refs, spine).to_arrow()
    assert (table.num_rows, table.num_columns) == (300, 1002)
    for number in (0, 1, 2, 49):
        column = table[f"f_{number}_19"].to_pylist()
        assert column == [number * 100 + 19 if n % 3 == number % 3 else None for n in range(300)]


def test_few_entity_rows_of_a_long_history(tmp_path):
    """Where other keys' rows are left out first, the answer is the same."""
    rows = 20_000
    table = pa.table(
        {
            "k": [n % 1000 for n in range(rows)],
            "ts": [START + timedelta(minutes=n) for n in range(rows)],
            "n": list(range(rows)),
        }
    )
    parquet.write_table(table, tmp_path / "long.parquet")
    view = view_of("v", "long.parquet", ["k"], ["n"], created=None)
    spine = entity_rows(*((n, "2026-03-10") for n in (5, 6, None, 2000)))
    found = retrieve(tmp_path, [view], ["v:n"], spine).to_arrow()["n"].to_pylist()
    at = int((datetime(2026, 3, 10) - START) / timedelta(minutes=1))
    assert found == [max(n for n in range(k, at + 1, 1000)) for k in (5, 6)] + [None, None]


@pytest.mark.slow
def test_more_than_fits_in_memory_spills(tmp_path):
    duckdb.execute(
        "copy (select i as k, timestamp '2026-03-01' as ts, i as n, repeat('x', 100) as t"
        f" from range(1000000) r(i)) to '{tmp_path}/big.parquet' (format parquet)"
    )
    duckdb.execute(
        "copy (select 999999 - i as k, timestamp '2026-03-02' as event_timestamp"
        f" from range(1000000) r(i)) to '{tmp_path}/spine.parquet' (format parquet)"
    )
    view = view_of("v", "big.parquet", ["k"], ["n", "t"], created=None)
    job = retrieve(
        tmp_path, [view], ["v:n", "v:t"], "spine.parquet",
        settings={"memory_limit": "100MB", "threads": 1, "spill_directory": "spill"},
    )  # fmt: skip
    job.persist(SavedDatasetFileStorage(path="out.parquet"))
    spilled = list((tmp_path / "spill").rglob("*.tmp"))
    del job
    gc.collect()
    assert spilled
    assert list((tmp_path / "spill").rglob("*")) == []
    found = duckdb.sql(
        f"select count(*), bool_and(n = k and length(t) = 100) from '{tmp_path}/out.parquet'"
    )
    assert found is not None
    assert found.fetchall() == [(1_000_000, True)]


def test_persist_is_one_rename_and_does_not_overwrite_unasked(facts_file, tmp_path):
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    job = retrieve(tmp_path, [view], ["v:trips"], entity_rows((1, "2026-03-03")))
    storage = SavedDatasetFileStorage(path="sets/one.parquet")
    job.persist(storage)
    assert parquet.read_table(tmp_path / "sets/one.parquet")["trips"].to_pylist() == [20]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    job.persist(storage, allow_overwrite=True)
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["one.parquet"]


def test_batches(facts_file, tmp_path):
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    spine = entity_rows(*((1, "2026-03-03") for _ in range(5000)))
    batches = list(retrieve(tmp_path, [view], ["v:trips"], spine).to_arrow_batches(2048))
    assert sum(batch.num_rows for batch in batches) == 5000
    assert len(batches) > 1
    assert batches[0].schema.names == ["k", "event_timestamp", "trips"]


# Sources


def pull(method: str, tmp_path: Path, **options: Any) -> list[Row]:
    source = FileSource(name="s", path="facts.parquet", timestamp_field="ts")
    job = getattr(STORE, method)(
        config_of(tmp_path),
        source,
        options.pop("keys", ["k"]),
        ["trips"],
        "ts",
        options.pop("created", "created"),
        options.pop("start", datetime(2026, 3, 1)),
        options.pop("end", datetime(2026, 3, 2)),
    )
    return job.to_arrow().to_pylist()


def test_pull_latest_and_pull_all(facts_file, tmp_path):
    latest = pull("pull_latest_from_table_or_query", tmp_path)
    assert sorted((row["k"], row["trips"]) for row in latest) == [(1, 20), (2, None)]
    before = pull("pull_latest_from_table_or_query", tmp_path, end=datetime(2026, 3, 1, 12))
    assert sorted((row["k"], row["trips"]) for row in before) == [(1, 10), (2, None)]
    assert pull("pull_latest_from_table_or_query", tmp_path, end=datetime(2026, 2, 1)) == []
    everything = pull("pull_all_from_table_or_query", tmp_path, start=None, end=None)
    assert [row["trips"] for row in everything] == [10, 20, None]
    assert list(everything[0]) == ["k", "trips", "ts", "created"]
    part = pull("pull_all_from_table_or_query", tmp_path, start=datetime(2026, 3, 2, tzinfo=UTC))
    assert [row["trips"] for row in part] == [20]


def test_pull_latest_of_a_view_without_entities(facts_file, tmp_path):
    (row,) = pull("pull_latest_from_table_or_query", tmp_path, keys=["__dummy_id"])
    assert (row["__dummy_id"], row["trips"]) == ("", 20)


def test_the_latest_of_rows_with_one_timestamp_was_created_last(tmp_path):
    rows = [
        {"k": 1, "ts": START, "created": None, "trips": 9},
        {"k": 1, "ts": START, "created": START, "trips": 1},
        {"k": 1, "ts": START, "created": START, "trips": None},
        {"k": 1, "ts": START, "created": START, "trips": 2},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "facts.parquet")
    (row,) = pull("pull_latest_from_table_or_query", tmp_path)
    assert row["trips"] == 2


def test_offline_write_batch_appends_to_a_file_and_to_a_folder(facts_file, tmp_path):
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    rows = pa.table({"k": [3], "ts": [START], "created": [START], "trips": [30]})
    told: list[int] = []
    STORE.offline_write_batch(config_of(tmp_path), view, rows, told.append)
    assert parquet.read_table(facts_file)["trips"].to_pylist() == [10, 20, None, 30]
    assert told == [1]

    (tmp_path / "folder").mkdir()
    facts_file.rename(tmp_path / "folder/part.parquet")
    view = view_of("v", "folder", ["k"], ["trips"])
    STORE.offline_write_batch(config_of(tmp_path), view, rows, None)
    spine = entity_rows((3, "2026-03-03"))
    assert retrieve(tmp_path, [view], ["v:trips"], spine).to_df()["trips"].tolist() == [30]

    before = sorted((tmp_path / "folder").iterdir())
    with pytest.raises(OfflineDataError, match="the rows have the columns k, ts"):
        STORE.offline_write_batch(config_of(tmp_path), view, rows.select(["k", "ts"]), None)
    assert sorted((tmp_path / "folder").iterdir()) == before


# What it says of bad input, before any work


def test_what_is_missing_is_named(facts_file, tmp_path):
    spine = entity_rows((1, "2026-03-03"))
    gone = view_of("gone", "no.parquet", ["k"], ["trips"])
    with pytest.raises(OfflineDataError, match=r"'gone': .*no\.parquet cannot be read as Parquet"):
        retrieve(tmp_path, [gone], ["gone:trips"], spine)
    (tmp_path / "text.parquet").write_text("not parquet")
    bad = view_of("bad", "text.parquet", ["k"], ["trips"])
    with pytest.raises(OfflineDataError, match=r"'bad': .*text\.parquet cannot be read as Parquet"):
        retrieve(tmp_path, [bad], ["bad:trips"], spine)
    less = view_of("less", "facts.parquet", ["k"], ["trips", "fares"])
    with pytest.raises(OfflineDataError, match=r"'less': .* has no column fares\. It has: k, ts"):
        retrieve(tmp_path, [less], ["less:fares"], spine)
    view = view_of("v", "facts.parquet", ["k"], ["trips"])
    with pytest.raises(OfflineDataError, match="no column k, which feature view 'v' is looked up"):
        retrieve(tmp_path, [view], ["v:trips"], spine.rename(columns={"k": "key"}))
    with pytest.raises(OfflineDataError, match="has no time column, so its moments are unclear"):
        retrieve(tmp_path, [view], ["v:trips"], spine[["k"]])
    two = spine.rename(columns={"event_timestamp": "at"}).assign(other=spine["event_timestamp"])
    with pytest.raises(OfflineDataError, match="has the time columns at, other, so its moments"):
        retrieve(tmp_path, [view], ["v:trips"], two)
    with pytest.raises(OfflineDataError, match=r"cannot be read: .*Table with name asked"):
        retrieve(tmp_path, [view], ["v:trips"], "select * from asked")
    with pytest.raises(OfflineDataError, match=r"The warehouse .* does not exist"):
        retrieve(tmp_path, [view], ["v:trips"], "select 1", settings={"warehouse": "none.duckdb"})
    with pytest.raises(OfflineDataError, match="The entity frame is a list"):
        retrieve(tmp_path, [view], ["v:trips"], [1])
