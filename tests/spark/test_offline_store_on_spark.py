"""The Spark store against the oracle and the DuckDB store, and what it leaves of a session."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from asof_oracle import START, compare_with_the_oracle, config_of, random_case, retrieve, view_of
from feast import FileSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from martfeast.offline_store import (
    DuckDBAsofOfflineStore,
    OfflineDataError,
    SparkAsofOfflineStore,
    spark_session,
)
from pyarrow import parquet

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]
STORE = SparkAsofOfflineStore
MARCH = datetime(2026, 3, 3)


@pytest.fixture
def no_asof_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Spark be one of before 4.3, which has no such settings."""
    monkeypatch.setattr(spark_session, "ASOF_JOIN", ("spark.sql.join.notThere.enabled",))


@pytest.fixture
def unchanged(spark: Any) -> Iterator[Any]:
    """See that a session in New York, with odd settings, is left as it was."""
    odd = {
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.parser.quotedRegexColumnNames": "true",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
    }
    before = {name: spark.conf.get(name) for name in odd}
    for name, value in odd.items():
        spark.conf.set(name, value)
    settings = dict(spark.conf.getAll)
    yield spark
    assert dict(spark.conf.getAll) == settings
    assert spark.catalog.listTables() == []
    assert type(spark).getActiveSession() is spark
    for name, value in before.items():
        spark.conf.set(name, value)


def write(folder: Path, sql: str, name: str = "facts.parquet") -> None:
    duckdb.execute(f"set TimeZone = 'UTC'; copy ({sql}) to '{folder / name}' (format parquet)")


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    write(
        tmp_path,
        "from (values"
        " (1::bigint, timestamp '2026-03-01', timestamp '2026-03-01 01:00:00', 10::bigint),"
        " (1, timestamp '2026-03-02', timestamp '2026-03-05', 20),"
        " (2, timestamp '2026-03-01', timestamp '2026-03-01', null)) as t (k, ts, created, trips)",
    )
    return tmp_path / "facts.parquet"


def trips(ttl: timedelta | None = None) -> Any:
    return view_of("v", "facts.parquet", ["k"], ["trips"], ttl=ttl)


def found(folder: Path, entity_df: Any, view: Any = None, **options: Any) -> Any:
    return retrieve(folder, [view or trips()], ["v:trips"], entity_df, STORE, **options)


def refused(folder: Path, entity_df: Any, **options: Any) -> str:
    with pytest.raises(OfflineDataError) as caught:
        found(folder, entity_df, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


# The oracle


@pytest.mark.parametrize(("seed", "by_created"), [(1, False), (2, True), (3, False)])
def test_it_finds_what_the_oracle_finds(tmp_path, unchanged, seed, by_created):
    case = random_case(seed, by_created=by_created)
    compare_with_the_oracle(tmp_path, case, bool(seed % 2), seed == 3, STORE)


@pytest.mark.parametrize("by_created", [False, True])
def test_so_does_the_window_of_an_older_spark(tmp_path, unchanged, no_asof_join, by_created):
    case = random_case(4, by_created=by_created)
    compare_with_the_oracle(tmp_path, case, False, False, STORE)


def test_a_session_of_its_own_has_asof_join_where_spark_has(spark, facts_file, tmp_path):
    job = found(tmp_path, pd.DataFrame({"k": [1], "event_timestamp": [MARCH]}))
    plan = job.to_spark_df()._jdf.queryExecution().executedPlan().toString()
    assert "SortMergeAsOfJoin" in plan
    assert "Window" not in plan.split("SortMergeAsOfJoin")[0]


def test_the_fallback_joins_by_a_window(facts_file, tmp_path, no_asof_join):
    job = found(tmp_path, pd.DataFrame({"k": [1], "event_timestamp": [MARCH]}))
    assert "AsOfJoin" not in job.to_spark_df()._jdf.queryExecution().executedPlan().toString()


# Entity rows of every kind


def frames(spark: Any, folder: Path) -> dict[str, Any]:
    moments = ["2026-03-03", "2026-03-01 00:30", "2026-03-03", "2026-03-02", None, "2026-02-28"]
    frame = pd.DataFrame(
        {
            "k": pd.array([2, 1, 9, 1, 1, 1], "Int64"),
            "event_timestamp": pd.to_datetime(pd.Series(moments), utc=True, format="ISO8601"),
            "Label": ["x", None, "y", "z", "", "w"],
        }
    )
    table = pa.Table.from_pandas(frame)
    parquet.write_table(table, folder / "spine.parquet")  # in nanoseconds
    (folder / "parts").mkdir()
    for number in range(2):  # the smaller file comes first
        part = table.slice(number * 2, 2 + 2 * number)
        parquet.write_table(part, folder / f"parts/part-{number}.parquet")
    spark.createDataFrame(frame).createOrReplaceTempView("asked")
    rows = spark.table("asked")
    spark.catalog.dropTempView("asked")
    return {
        "pandas": frame,
        "arrow": table,
        "file": "spine.parquet",
        "folder": folder / "parts",
        "spark": rows,
        "query": (
            "select * from values"
            " (2L, timestamp '2026-03-03 00:00:00Z', 'x'),"
            " (1L, timestamp '2026-03-01 00:30:00Z', null),"
            " (9L, timestamp '2026-03-03 00:00:00Z', 'y'),"
            " (1L, timestamp '2026-03-02 00:00:00Z', 'z'),"
            " (1L, null, ''),"
            " (1L, timestamp '2026-02-28 00:00:00Z', 'w')"
            " as t(k, event_timestamp, Label) -- all; of them"
        ),
    }


@pytest.mark.parametrize("kind", ["pandas", "arrow", "file", "folder", "spark", "query"])
def test_one_row_per_entity_row_in_their_order_of_every_kind(unchanged, facts_file, tmp_path, kind):
    """In Arrow, in pandas and as a DataFrame of the user's session, in New York."""
    given = frames(unchanged, tmp_path)
    job = found(tmp_path, given[kind], trips(ttl=timedelta(days=1)))
    table = job.to_arrow()
    assert table.column_names == ["k", "event_timestamp", "Label", "trips"]
    assert table["k"].to_pylist() == [2, 1, 9, 1, 1, 1]
    assert table["Label"].to_pylist() == ["x", None, "y", "z", "", "w"]
    assert table["trips"].to_pylist() == [None, 10, None, 20, None, None]
    assert table["trips"].type == pa.int64()
    assert job.to_df()["trips"].dtype == pd.Int64Dtype()
    rows = job.to_spark_df()
    assert rows.sparkSession is unchanged
    shown = rows.toArrow()
    assert shown.select(["k", "Label", "trips"]) == table.select(["k", "Label", "trips"]).cast(
        shown.select(["k", "Label", "trips"]).schema
    )
    moments = [at and at.astimezone(UTC).replace(tzinfo=None) for at in shown[1].to_pylist()]
    assert moments[:2] == [MARCH, datetime(2026, 3, 1, 0, 30)]
    assert job.metadata.min_event_timestamp == datetime(2026, 2, 28)
    assert job.metadata.max_event_timestamp == MARCH
    assert job.metadata.keys == ["k", "Label"]


def test_without_an_entity_frame_it_gives_what_the_duckdb_store_gives(
    unchanged, facts_file, tmp_path
):
    options: dict[str, Any] = {"start_date": START, "end_date": datetime(2026, 3, 2, tzinfo=UTC)}
    ours = found(tmp_path, None, **options).to_arrow()
    theirs = retrieve(tmp_path, [trips()], ["v:trips"], None, **options).to_arrow()
    assert ours.to_pylist() == theirs.to_pylist()
    assert ours.num_rows == 3


# What the session keeps, also after an error


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("drop table nothing", "The entity rows are one query"),
        ("create table t as select 1 as k", "The entity rows are one query"),
        ("insert into t select 1", "The entity rows are one query"),
        ("with a as (select 1) insert into t select * from a", "The entity rows are one query"),
        ("insert overwrite directory '{folder}/out' using parquet select 1", "one query"),
        ("set spark.sql.ansi.enabled = true", "The entity rows are one query"),
        ("select 1; select 2", "The entity rows are one query"),
        ("select 1) union (select 2", "The entity rows are one query"),
        ("select * from nothing", "cannot be run: .*TABLE_OR_VIEW_NOT_FOUND"),
        ("", "The entity rows are one query"),
        ("select '\ud800'", "surrogates not allowed"),
        ("select 1L as k", "has no time column"),
        ("select 1L as k, 'later' as event_timestamp", "event_timestamp has 'later', which cannot"),
        ("select 1L as k, timestamp '12000-01-01' as at", "at has '.12000-01-01 .*years 1 to 9999"),
        ("select 1.5 as k, date '2026-03-01' as at", r"is DECIMAL\(2,1\) with the value '1.5'"),
        ("select double(9007199254740992) as k, now() as at", "with the value '9.0071992547"),
        ("select 'a' as k, now() as at", "k of the entity rows is VARCHAR, and column k of"),
        ("select 1L as k, 2 as k, now() as at", "two columns of one name: k"),
        ("select 1L as trips, 1L as k, now() as at", "trips is a column of the entity frame"),
    ],
)
def test_entity_rows_that_cannot_be_read_are_refused_and_nothing_changes(
    unchanged, facts_file, tmp_path, query, words
):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OfflineDataError, match=words) as caught:
        found(tmp_path, query.format(folder=tmp_path))
    assert str(caught.value).replace("\n", "").isprintable()
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_goes_while_it_is_read_leaves_the_session_as_it_was(
    unchanged, facts_file, tmp_path
):
    job = found(tmp_path, pd.DataFrame({"k": [1], "event_timestamp": [MARCH]}))
    facts_file.unlink()
    with pytest.raises(Exception, match=r"facts\.parquet|FileNotFound|FAILED_READ_FILE"):
        job.to_arrow()


def test_its_settings_are_those_of_the_session_and_of_spark_conf(unchanged):
    unchanged.conf.set("spark.sql.shuffle.partitions", "3")
    try:
        own = spark_session.OwnSession.beside({"spark.sql.autoBroadcastJoinThreshold": "-1"})
    finally:
        unchanged.conf.set("spark.sql.shuffle.partitions", "2")
    assert own.session.conf.get("spark.sql.shuffle.partitions") == "3"
    assert own.session.conf.get("spark.sql.autoBroadcastJoinThreshold") == "-1"
    assert own.session.conf.get("spark.sql.session.timeZone") == "UTC"


# Planted cases


def test_composite_keys_are_compared_as_columns(unchanged, tmp_path):
    write(
        tmp_path,
        "select * from (values ('a', 'bc', 1), ('ab', 'c', 2)) as t(k, j, trips),"
        " (select timestamp '2026-03-01' as ts, timestamp '2026-03-01' as created)",
    )
    view = view_of("v", "facts.parquet", ["k", "j"], ["trips"])
    spine = pd.DataFrame(
        {"k": ["ab", "a", "a"], "j": ["c", "bc", "c"], "event_timestamp": [MARCH] * 3}
    )
    assert found(tmp_path, spine, view).to_arrow()["trips"].to_pylist() == [2, 1, None]


def test_a_view_without_entities_and_one_with_an_alias(unchanged, tmp_path):
    write(tmp_path, "select unnest([1, 2]) as trips, timestamp '2026-03-01' as ts")
    world = view_of("v", "facts.parquet", [], ["trips"], created=None)
    write(tmp_path, "select 1::bigint as k, 7 as y, timestamp '2026-03-01' as ts", "b.parquet")
    other = view_of(
        "w", "b.parquet", ["key"], ["rides"], created=None,
        mapping={"k": "key", "y": "rides"}, join_key_map={"key": "origin"},
    )  # fmt: skip
    spine = pd.DataFrame({"origin": [1, 2], "event_timestamp": [START, START - timedelta(1)]})
    table = retrieve(tmp_path, [world, other], ["v:trips", "w:rides"], spine, STORE).to_arrow()
    assert table["trips"].to_pylist() == [2, None]
    assert table["rides"].to_pylist() == [7, None]


INSTANTS = [
    "timestamp '2026-03-01 17:00:00'",
    "timestamptz '2026-03-01 12:00:00-05:00'",
    "timestamp_ns '2026-03-01 17:00:00'",
    "timestamptz '2026-03-01 12:00:00-05:00'::timestamptz_ns",
    "timestamp_ms '2026-03-01 17:00:00'",
    "'2026-03-01 17:00:00'",
    "'2026-03-01 17:00:00.000000000'",
    "'2026-03-01T17:00:00Z'",
    "'2026-03-01 12:00:00-05:00'",
    "'2026-03-01T22:30:00+0530'",
]


def test_a_time_of_a_view_is_the_instant_it_says(unchanged, tmp_path):
    """The moment itself reaches it, a microsecond before does not, nor one after the TTL."""
    views, refs = [], []
    for number, at in enumerate(INSTANTS):
        write(tmp_path, f"select 1::bigint as k, {at} as ts, 7 as x{number}", f"{number}.parquet")
        name, ttl = f"v{number}", timedelta(hours=1)
        views.append(
            view_of(name, f"{number}.parquet", ["k"], [f"x{number}"], created=None, ttl=ttl)
        )
        refs.append(f"v{number}:x{number}")
    reached = datetime(2026, 3, 1, 17)
    tick = timedelta(microseconds=1)
    moments = [reached, reached - tick, reached + timedelta(hours=1), reached + ttl + tick]
    spine = pd.DataFrame({"k": [1] * 4, "event_timestamp": moments})
    table = retrieve(tmp_path, views, refs, spine, STORE).to_arrow()
    for number, at in enumerate(INSTANTS):
        assert table[f"x{number}"].to_pylist() == [7, None, 7, None], at


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "timestamp_ns", "text"])
def test_a_moment_of_rows_in_spark_is_the_instant_it_says(unchanged, tmp_path, kind):
    write(tmp_path, "select 1::bigint as k, timestamp '2026-03-01 17:00:00' as ts, 7 as trips")
    texts = ["2026-03-01 17:00:00Z", "2026-03-01 12:00:00-05:00", "2026-03-01 16:59:59.999999"]
    moments = {"timestamp": "t::timestamptz::timestamp", "text": "t"}
    moment = moments.get(kind, f"t::timestamptz::{kind}")
    listed = ", ".join(f"'{text}'" for text in texts)
    rows = f"select 1::bigint as k, {moment} as event_timestamp from unnest([{listed}]) as u(t)"
    write(tmp_path, rows, "spine.parquet")
    view = view_of("v", "facts.parquet", ["k"], ["trips"], created=None)
    assert found(tmp_path, "spine.parquet", view).to_arrow()["trips"].to_pylist() == [7, 7, None]


FEATURES = [
    *("[1::bigint, null]", "['a']", "{'a': 1}", "map {'a': 1}", "'a'::blob", "'a'", "null"),
    *("date '2026-03-01'", "1.5::decimal(9, 2)", "1.5::float", "'nan'::double", "true"),
    *("3::utinyint", "3::uinteger", f"{2**64 - 1}::ubigint", "3::tinyint", "'a'::enum('a', 'b')"),
    *("timestamp_ns '2026-03-01 00:00:00.000000001'", "timestamptz '2026-03-01 00:00:00+01'"),
    *("timestamp '0001-01-01'", "[{'a': [1]}]"),
]


@pytest.mark.parametrize("by_created", [False, True])
def test_features_are_of_the_types_and_values_that_the_duckdb_store_gives(
    unchanged, tmp_path, by_created
):
    """Also if two rows tie."""
    names = [f"f{number}" for number in range(len(FEATURES))]
    listed = ", ".join(f"{sql} as {name}" for sql, name in zip(FEATURES, names, strict=True))
    times = "timestamp '2026-03-01' as ts, timestamp '2026-03-01' as created"
    write(tmp_path, f"select unnest([1, 1, 2])::bigint as k, {times}, {listed}")
    view = view_of("v", "facts.parquet", ["k"], names)
    refs = [f"v:{name}" for name in names]
    spine = pa.table({"k": [2, 1, 3], "event_timestamp": [MARCH] * 3})
    options: dict[str, Any] = {"filter_by_created_timestamp": by_created}
    ours = retrieve(tmp_path, [view], refs, spine, STORE, **options).to_arrow()
    theirs = retrieve(tmp_path, [view], refs, spine, **options).to_arrow()
    for name, sql in zip(names, FEATURES, strict=True):
        assert ours[name].type == theirs[name].type, sql
        assert str(ours[name].to_pylist()) == str(theirs[name].to_pylist()), sql


@pytest.mark.parametrize("type_", ["uuid()", "time '01:00'", "interval 1 day", "[uuid()]"])
def test_what_spark_does_not_read_is_named(tmp_path, type_):
    write(tmp_path, f"select 1::bigint as k, timestamp '2026-03-01' as ts, {type_} as trips")
    view = view_of("v", "facts.parquet", ["k"], ["trips"], created=None)
    spine = pd.DataFrame({"k": [1], "event_timestamp": [MARCH]})
    assert "'v': column trips is" in refused(tmp_path, spine, view=view)


def test_nanoseconds_are_not_rounded_on_the_way_to_spark(tmp_path):
    fine = "timestamp_ns '2026-03-01 00:00:00.000000001'"
    write(tmp_path, f"select 1::bigint as k, timestamp '2026-03-01' as ts, {fine} as trips")
    view = view_of("v", "facts.parquet", ["k"], ["trips"], created=None)
    job = found(tmp_path, pd.DataFrame({"k": [1], "event_timestamp": [MARCH]}), view)
    with pytest.raises(Exception, match="nanoseconds, which Spark lacks"):
        job.to_spark_df().collect()
    spine = pd.DataFrame({"k": [1], "event_timestamp": [MARCH], "x": [1j]})
    assert "column x" in refused(tmp_path, spine, view=view)
    fine_frame = pd.DataFrame({"k": [1], "event_timestamp": [MARCH], "x": [pd.Timestamp(1)]})
    with pytest.raises(OfflineDataError, match=r"column x of type timestamp\[ns\] has no form in"):
        found(tmp_path, fine_frame, view).to_spark_df()


KEYS: list[tuple[str, Any]] = [
    ("1::bigint", pd.array([1], "UInt64")),
    ("1::bigint", [1.0]),
    ("1::integer", [2**40]),
    ("1::uinteger", [1]),
    ("1::ubigint", [1]),
    ("1.5::double", [1.5]),
    ("'1'", pd.Categorical(["1"])),
    ("true", [True]),
    ("timestamp '2026-03-01 12:00:00'", [datetime(2026, 3, 1, 12)]),
    ("timestamptz '2026-03-01 12:00:00Z'", [datetime(2026, 3, 1, 12, tzinfo=UTC)]),
    ("date '2026-03-01'", [date(2026, 3, 1)]),
    ("timestamp_ns '2026-03-01 12:00:00'", [datetime(2026, 3, 1, 12)]),
    ("1::bigint", pd.array([None], "Int64")),
    ("1::bigint", [None]),
]


@pytest.mark.parametrize("in_spark", [False, True])
def test_keys_of_one_kind_are_compared_as_the_duckdb_store_compares_them(
    unchanged, tmp_path, in_spark
):
    views, refs, spine = [], [], pd.DataFrame({"event_timestamp": [MARCH]})
    for number, (key, given) in enumerate(KEYS):
        sql = f"select {key} as k{number}, timestamp '2026-03-01' as ts, 7 as x{number}"
        write(tmp_path, sql, f"{number}.parquet")
        name = f"v{number}"
        views.append(
            view_of(name, f"{number}.parquet", [f"k{number}"], [f"x{number}"], created=None)
        )
        refs.append(f"v{number}:x{number}")
        spine[f"k{number}"] = given
    entity_df: Any = spine
    if in_spark:
        spine.to_parquet(tmp_path / "spine.parquet")
        entity_df = "spine.parquet"
    names = [ref.split(":")[1] for ref in refs]
    ours = retrieve(tmp_path, views, refs, entity_df, STORE).to_arrow().select(names)
    theirs = retrieve(tmp_path, views, refs, spine).to_arrow().select(names)
    assert ours.to_pylist() == theirs.to_pylist()
    assert [list(row.values()).count(7) for row in ours.to_pylist()] == [11]


def test_names_differ_by_case_and_need_quotes(unchanged, tmp_path):
    write(tmp_path, 'select 1::bigint as "K`;", timestamp \'2026-03-01\' as ts, 7 as "say ""hi"""')
    view = view_of("v", "facts.parquet", ["K`;"], ['say "hi"'], created=None)
    spine = pd.DataFrame({"K`;": [1], "k`;": [2], "event_timestamp": [MARCH], "c0": ["a"]})
    spine.to_parquet(tmp_path / "spine.parquet")
    for given in (spine, "spine.parquet"):
        job = retrieve(tmp_path, [view], ['v:say "hi"'], given, STORE)
        assert job.to_arrow()['say "hi"'].to_pylist() == [7]
        assert job.to_spark_df().columns == ["K`;", "k`;", "event_timestamp", "c0", 'say "hi"']
        with pytest.raises(OfflineDataError, match="differ only by case"):
            job.persist(SavedDatasetFileStorage(path="set"))
    assert not (tmp_path / "set").exists()


def test_a_version_may_be_a_folder_and_its_path_have_any_characters(unchanged, tmp_path):
    folder = tmp_path / "a b[1]*{x}'%20"
    folder.mkdir()
    for number in range(3):
        sql = f"select {number}::bigint as k, timestamp '2026-03-01' as ts, {number} as trips"
        parquet.write_table(duckdb.execute(sql).to_arrow_table(), folder / f"part-{number}.parquet")
    view = view_of("v", folder.name, ["k"], ["trips"], created=None)
    spine = pd.DataFrame({"k": [2, 0, 1], "event_timestamp": [MARCH] * 3})
    assert found(tmp_path, spine, view).to_arrow()["trips"].to_pylist() == [2, 0, 1]


def test_other_bytes_than_were_published_are_refused(facts_file, tmp_path):
    view = trips()
    view.batch_source.tags = {"byte_count": "7", "sha256": "0" * 64}
    spine = pd.DataFrame({"k": [1], "event_timestamp": [MARCH]})
    assert "and was written with 7" in refused(tmp_path, spine, view=view)


# Materialization and saved data sets


@pytest.mark.parametrize(
    "method", ["pull_latest_from_table_or_query", "pull_all_from_table_or_query"]
)
@pytest.mark.parametrize("created", ["created", None])
def test_what_is_pulled_is_what_the_duckdb_store_pulls(unchanged, tmp_path, method, created):
    write(
        tmp_path,
        "from (values (1::bigint, '2026-03-01', timestamptz '2026-03-01 01:00:00Z', 9),"
        " (1, '2026-03-01 12:00:00-05:00', timestamptz '2026-03-01 01:00:00Z', 1),"
        " (1, '2026-03-01 17:00:00', null, 5), (null, '2026-03-01', null, 3),"
        " (2, '2026-03-01T00:00Z', null, null), (2, '2026-03-04', null, 8)"
        ") as t (k, ts, created, trips)",
    )
    source = FileSource(name="s", path="facts.parquet", timestamp_field="ts")
    for keys in (["k"], ["__dummy_id"]):
        answers = []
        for store in (STORE, DuckDBAsofOfflineStore):
            job = getattr(store, method)(
                config_of(tmp_path, store), source, keys, ["trips"], "ts", created, START, MARCH
            )
            table = job.to_arrow()
            rows = table.to_pylist()
            if "latest" in method:
                rows.sort(key=str)
            answers.append((rows, str(table.schema).replace("Etc/", "")))
        assert answers[0] == answers[1]
        assert answers[0][0]


def test_persist_writes_a_folder_from_spark_and_a_file_from_memory(unchanged, facts_file, tmp_path):
    asked = "select k, timestamp '2026-03-03 00:00:00Z' as at from values (2), (1) as t(k)"
    job = found(tmp_path, asked)
    storage = SavedDatasetFileStorage(path="sets/one")
    job.persist(storage)
    written = parquet.read_table(tmp_path / "sets/one")
    assert written["trips"].to_pylist() == [None, 20]
    assert str(written.schema.field("at").type) == "timestamp[us, tz=UTC]"
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    job.persist(storage, allow_overwrite=True)
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["one"]
    memory = found(tmp_path, pd.DataFrame({"k": [1], "event_timestamp": [MARCH]}))
    memory.persist(SavedDatasetFileStorage(path="sets/two.parquet"))
    assert parquet.read_table(tmp_path / "sets/two.parquet")["trips"].to_pylist() == [20]


def test_offline_write_batch_appends(facts_file, tmp_path):
    rows = pa.table({"k": [3], "ts": [START], "created": [START], "trips": [30]})
    STORE.offline_write_batch(config_of(tmp_path, STORE), trips(), rows, None)
    assert parquet.read_table(facts_file)["trips"].to_pylist() == [10, 20, None, 30]
