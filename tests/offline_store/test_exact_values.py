"""Times, keys and pushed values are exactly what was given, or refused in words."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from asof_oracle import config_of, retrieve, view_of
from feast import FileSource
from martfeast.offline_store import OfflineDataError
from pyarrow import parquet
from test_offline_store import STORE

AT = datetime(2026, 3, 1, 12)
FEATURES = ["trips"]


def write_facts(folder: Path, times: str, key: str = "1::bigint") -> None:
    """Write one row, known and created at a time that is given as SQL."""
    duckdb.execute(
        f"set TimeZone = 'UTC'; copy (select {key} as k, {times} as ts, {times} as created,"
        f" 7::bigint as trips) to '{folder}/facts.parquet' (format parquet)"
    )


def found(folder: Path, entity_df: Any, **options: Any) -> list[int | None]:
    view = view_of("v", "facts.parquet", ["k"], FEATURES, ttl=options.pop("ttl", None))
    job = retrieve(folder, [view], ["v:trips"], entity_df, **options)
    values: list[int | None] = job.to_arrow()["trips"].to_pylist()
    return values


def refused(folder: Path, entity_df: Any, **options: Any) -> str:
    with pytest.raises(OfflineDataError) as caught:
        found(folder, entity_df, **options)
    return str(caught.value)


def frame(values: Any, key: Any = 1) -> pd.DataFrame:
    column = values if hasattr(values, "dtype") else pd.Series(values, dtype=object)
    return pd.DataFrame({"k": [key] * len(values), "event_timestamp": column})


# Every way to write one instant, 17:00 UTC, which the moment itself reaches and a moment before
# does not.

INSTANTS = [
    "timestamp '2026-03-01 17:00:00'",
    "timestamptz '2026-03-01 12:00:00-05:00'",
    "timestamp_ns '2026-03-01 17:00:00'",
    "timestamptz '2026-03-01 12:00:00-05:00'::timestamptz_ns",
    "timestamp_ms '2026-03-01 17:00:00'",
    "timestamp_s '2026-03-01 17:00:00'",
    "'2026-03-01 17:00:00'",
    "'2026-03-01T17:00'",
    "'2026-03-01 17:00:00.000000000'",
    "'2026-03-01T17:00:00Z'",
    "'2026-03-01 12:00:00-05:00'",
    "'2026-03-01 12:00:00.000-05'",
    "'2026-03-01T22:30:00+0530'",
]
REACHED, BEFORE = datetime(2026, 3, 1, 17), datetime(2026, 3, 1, 16, 59, 59, 999999)


@pytest.mark.parametrize("instant", INSTANTS)
@pytest.mark.parametrize("by_created", [False, True])
def test_a_time_of_a_view_is_the_instant_it_says(tmp_path, instant, by_created):
    write_facts(tmp_path, instant)
    options: dict[str, Any] = {"filter_by_created_timestamp": by_created}
    assert found(tmp_path, frame([REACHED, BEFORE]), **options) == [7, None]
    ttl = timedelta(hours=1)
    assert found(tmp_path, frame([REACHED + ttl]), ttl=ttl, **options) == [7]


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_moment_is_the_instant_it_says(tmp_path, instant):
    """Of SQL, of a file, of Arrow and of pandas; a microsecond later is too late."""
    rows = f"select 1::bigint as k, {instant} as event_timestamp"
    relation: Any = duckdb.sql(rows)
    spine = relation.to_arrow_table()
    parquet.write_table(spine, tmp_path / "spine.parquet")
    for at, value in (("2026-03-01 17:00:00", 7), ("2026-03-01 17:00:00.000001", None)):
        write_facts(tmp_path, f"timestamp '{at}'")
        for entity_df in (rows, "spine.parquet", spine, spine.to_pandas()):
            assert found(tmp_path, entity_df) == [value]


@pytest.mark.parametrize("instant", INSTANTS)
def test_materialization_reads_times_alike(tmp_path, instant):
    write_facts(tmp_path, instant)
    for pull in (STORE.pull_latest_from_table_or_query, STORE.pull_all_from_table_or_query):
        (row,) = pulled(tmp_path, pull, REACHED, REACHED)
        assert pd.Timestamp(row["ts"]).tz_localize(None) == REACHED
        assert pulled(tmp_path, pull, BEFORE - timedelta(days=1), BEFORE) == []


def pulled(folder: Path, pull: Any, start: datetime, end: datetime) -> list[dict[str, Any]]:
    source = FileSource(name="s", path="facts.parquet", timestamp_field="ts")
    job = pull(config_of(folder), source, ["k"], FEATURES, "ts", "created", start, end)
    rows: list[dict[str, Any]] = job.to_arrow().to_pylist()
    return rows


def test_a_date_is_its_midnight_in_utc(tmp_path):
    write_facts(tmp_path, "date '2026-03-02'")
    midnight = datetime(2026, 3, 2)
    moments = frame([midnight, midnight - timedelta(microseconds=1)])
    assert found(tmp_path, moments) == [7, None]
    assert found(tmp_path, frame([date(2026, 3, 2), date(2026, 3, 1)])) == [7, None]
    (row,) = pulled(tmp_path, STORE.pull_latest_from_table_or_query, midnight, midnight)
    assert row["ts"] == midnight


def test_the_latest_of_texts_is_the_latest_instant(tmp_path):
    """As text, the first would be the last."""
    times = ["2026-03-01 12:00:00+09:00", "2026-03-01 11:00:00-05:00"]
    table = pa.table({"k": [1, 1], "ts": times, "created": times, "trips": [1, 2]})
    parquet.write_table(table, tmp_path / "facts.parquet")
    start, end = datetime(2026, 2, 1), datetime(2026, 4, 1)
    (row,) = pulled(tmp_path, STORE.pull_latest_from_table_or_query, start, end)
    assert row["trips"] == 2
    assert found(tmp_path, frame([end])) == [2]


NO_TIMES = [
    "2026-03-01 12:00:00.0000001",
    "2026-02-30",
    "2026-03-01 12:00:00 America/New_York",
    "03/01/2026",
    "yesterday",
    "infinity",
    "epoch",
    "",
    " 2026-03-01",
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_text_that_is_no_exact_time_is_named(tmp_path, text):
    write_facts(tmp_path, f"'{text}'")
    message = refused(tmp_path, frame([AT]))
    assert f"Feature view 'v': column ts has '{text}', which cannot be read exactly" in message
    with pytest.raises(OfflineDataError, match=r"source 's': column ts has '.*', which"):
        pulled(tmp_path, STORE.pull_all_from_table_or_query, AT, AT)
    write_facts(tmp_path, "timestamp '2026-03-01'")
    for entity_df in (frame([text]), f"select 1::bigint as k, '{text}' as event_timestamp"):
        message = refused(tmp_path, entity_df)
        assert f"The entity rows: column event_timestamp has '{text}', which cannot" in message


def test_a_creation_is_read_as_a_timestamp_is(tmp_path):
    table = pa.table({"k": [1], "ts": [AT], "created": ["soon"], "trips": [7]})
    parquet.write_table(table, tmp_path / "facts.parquet")
    assert "column created has 'soon'" in refused(tmp_path, frame([AT]))


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2026-03-01T12:00:00.000000999"], "datetime64[ns]"),
        pd.to_datetime(["2026-03-01T12:00:00.000000999Z"]),
        [pd.Timestamp("2026-03-01T12:00:00.000000999")],
    ],
)
def test_nanoseconds_are_not_rounded(tmp_path, values):
    write_facts(tmp_path, "timestamp '2026-03-01'")
    assert "event_timestamp has '2026-03-01 12:00:00.000000999" in refused(tmp_path, frame(values))
    write_facts(tmp_path, "timestamp_ns '2026-03-01 12:00:00.000000999'")
    assert "'v': column ts has '2026-03-01 12:00:00.000000999'" in refused(tmp_path, frame([AT]))


@pytest.mark.parametrize("ttl", [None, timedelta(days=3), timedelta(days=365_000)])
def test_the_first_and_the_last_moment_work(tmp_path, ttl):
    ends = frame([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)])
    write_facts(tmp_path, "timestamp '0001-01-01'")
    assert found(tmp_path, ends, ttl=ttl) == [7, None if ttl else 7]
    write_facts(tmp_path, "timestamp '9999-12-31'")
    assert found(tmp_path, ends, ttl=ttl) == [None, 7]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**63 - 1], pa.timestamp("us")),  # infinity in DuckDB
        pa.array([1 - 2**63], pa.timestamp("us")),  # -infinity
        pa.array([-(2**63)], pa.timestamp("us")),
        pa.array([10**15], pa.timestamp("s")),
        pa.array([10**15], pa.timestamp("s", "UTC")),
        pa.array([2**62], pa.timestamp("ms")),
        pa.array([2**31 - 1], pa.date32()),
        pa.array(["0001-01-01 00:00:00+01:00"]),
    ],
    ids=str,
)
def test_a_moment_beyond_the_calendar_is_refused(tmp_path, values):
    write_facts(tmp_path, "timestamp '2026-03-01'")
    spine = pa.table({"k": [1], "event_timestamp": values})
    assert "The entity rows: column event_timestamp has '" in refused(tmp_path, spine)


def test_a_column_of_another_kind_is_no_time(tmp_path):
    write_facts(tmp_path, "1772323200::bigint")
    message = refused(tmp_path, frame([AT]))
    assert "Feature view 'v': column ts is BIGINT, and must be a timestamp" in message
    write_facts(tmp_path, "timestamp '2026-03-01'")
    for values in ([1772323200], [True], [[AT]], [timedelta(1)]):
        message = refused(tmp_path, frame(values))
        assert "The entity rows: column event_timestamp is" in message
        assert "must be a timestamp" in message


AWARE = datetime.fromisoformat("2026-03-01T12:00:00-05:00")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([AT, AWARE], "mixes times with a zone and times without a zone"),
        ([AWARE, AT], "mixes times with a zone and times without a zone"),
        ([date(2026, 3, 1), AT], "mixes dates and times without a zone"),
        (["2026-03-01", AT], "mixes text and times without a zone"),
        ([1, "a"], "mixes numbers and text"),
        (["a", b"a"], "mixes bytes objects and text"),
        ([True, 1], "mixes booleans and numbers"),
        (["\ud800"], "surrogates not allowed"),
        ([object()], "did not recognize Python value type"),
        ([1j], "did not recognize Python value type"),
        ([2**70], "too large"),
        ([2**53 + 1, 0.5], "outside of the range"),
    ],
)
def test_objects_that_are_not_of_one_kind_are_named_by_column(tmp_path, values, words):
    """As the moment, as a key and as a column that only comes back."""
    write_facts(tmp_path, "timestamp '2026-03-01'")
    plain = frame([AT] * len(values))
    for name in ("event_timestamp", "k", "other"):
        message = refused(tmp_path, plain.assign(**{name: pd.Series(values, dtype=object)}))
        assert f"The entity rows: column {name} " in message
        assert words in message
        assert "\n" not in message


# Keys


@pytest.mark.parametrize(
    ("in_view", "given", "value"),
    [
        ("1::bigint", 1, 7),
        ("1::integer", 2**40, None),
        ("1::bigint", pd.array([1], "UInt64"), 7),
        ("1::bigint", 1.0, 7),
        ("1::bigint", Decimal("1.0"), 7),
        ("1.5::double", 1.5, 7),
        ("'1'", "1", 7),
        ("'1'", pd.Categorical(["1"]), 7),
        ("true", True, 7),
        ("'0b8e9d5a-1d5e-4c57-a5a4-4a8f1ac0a3c5'::uuid", "0b8e9d5a-1d5e-4c57-a5a4-4a8f1ac0a3c5", 7),
        ("timestamp '2026-03-01 12:00:00'", AT, 7),
        ("date '2026-03-01'", date(2026, 3, 1), 7),
        ("1::bigint", None, None),
        ("'1'", None, None),
    ],
)
def test_keys_of_one_kind_are_compared_exactly(tmp_path, in_view, given, value):
    write_facts(tmp_path, "timestamp '2026-03-01'", key=in_view)
    column = given if hasattr(given, "dtype") else [given]
    spine = pd.DataFrame({"k": column, "event_timestamp": [AT]})
    assert found(tmp_path, spine) == [value]


@pytest.mark.parametrize(
    ("in_view", "given", "words"),
    [
        ("2::bigint", "'2.0'", "k of the entity rows is VARCHAR, and column k of feature view 'v'"),
        ("'2'", "2::bigint", "is BIGINT, and column k of feature view 'v' is VARCHAR"),
        ("1::bigint", "true", "is BOOLEAN, and column k of feature view 'v' is BIGINT"),
        ("1::bigint", "timestamp '2026-03-01'", "is TIMESTAMP, and column k"),
        ("timestamp '2026-03-01'", "'2026-03-01'", "is VARCHAR, and column k"),
        ("1::bigint", "'a'::blob", "is BLOB, and column k of feature view 'v' is BIGINT"),
        ("1::bigint", "[1::bigint]", "is BIGINT[], and column k of feature view 'v' is BIGINT"),
        ("2::bigint", "1.7::double", "is DOUBLE with the value '1.7', and column k"),
        ("2::bigint", "'inf'::double", "is DOUBLE with the value 'inf', and column k"),
        ("2::bigint", "1.7", "is DECIMAL(2,1) with the value '1.7', and column k"),
        ("1::bigint", "9007199254740992::double", "with the value '9007199254740992.0'"),
        ("1::double", "9007199254740993", "is BIGINT with the value '9007199254740993'"),
        ("uuid()", "'no uuid'", "is VARCHAR with the value 'no uuid'"),
        (
            "timestamp '2026-03-01'",
            "timestamp_ns '2026-03-01 00:00:00.000000001'",
            "with the value",
        ),
    ],
)
def test_a_key_of_another_kind_is_refused_before_any_work(tmp_path, in_view, given, words):
    write_facts(tmp_path, "timestamp '2026-03-01'", key=in_view)
    message = refused(tmp_path, f"select {given} as k, timestamp '2026-03-02' as event_timestamp")
    assert message.startswith("Column k of the entity rows is ")
    assert words in message


# Features


@pytest.mark.parametrize(
    "feature",
    [
        *("[1::bigint, null]", "['a']", "[[1]]", "{'a': 1}", "map {'a': 1}", "'a'::blob", "'a'"),
        *("date '2026-03-01'", "time '01:00'", "1.5::decimal(9, 2)", "1.5::float", "true"),
        *("timestamp_ns '2026-03-01 00:00:00.000000001'", "timestamptz '2026-03-01 00:00:00+01'"),
    ],
)
@pytest.mark.parametrize("by_created", [False, True])
def test_a_feature_of_any_type_comes_as_it_is(tmp_path, feature, by_created):
    """Also if two rows tie, and if the view is searched because other rows are many."""
    row = f"timestamp '2026-03-01' as ts, timestamp '2026-03-01' as created, {feature} as x"
    path = tmp_path / "facts.parquet"
    duckdb.execute(
        f"copy (select 1::bigint as k, {row} union all select 1, {row}"
        f" union all select 2, {row}) to '{path}' (format parquet)"
    )
    view = view_of("v", "facts.parquet", ["k"], ["x"])
    for count in (1, 4):  # by either plan
        spine = pd.concat([frame([AT]), *[frame([AT], key=9)] * (count - 1)])
        job = retrieve(tmp_path, [view], ["v:x"], spine, filter_by_created_timestamp=by_created)
        expected = parquet.read_table(path)["x"].to_pylist()[:1]
        assert job.to_arrow()["x"].to_pylist() == expected + [None] * (count - 1)


# What is pushed


def push(folder: Path, in_source: str, values: pa.Array) -> list[Any]:
    """Push values into a column that the source has, given as SQL; return those it then has."""
    rows = f"select 1::bigint as k, timestamp '2026-03-01' as ts, {in_source} as x"
    duckdb.execute(f"copy ({rows}) to '{folder}/pushed.parquet' (format parquet)")
    view = view_of("v", "pushed.parquet", ["k"], ["x"], created=None)
    count = len(values)
    table = pa.table({"k": [1] * count, "ts": [AT] * count, "x": values})
    STORE.offline_write_batch(config_of(folder), view, table, None)
    return parquet.read_table(folder / "pushed.parquet")["x"].to_pylist()[1:]


@pytest.mark.parametrize(
    ("in_source", "values", "expected"),
    [
        ("1::bigint", pa.array([3.0, None, -2.0]), [3, None, -2]),
        ("1::bigint", pa.array(["3"]), [3]),
        ("1::bigint", pa.nulls(1), [None]),
        ("1::integer", pa.array([2**31 - 1]), [2**31 - 1]),
        ("1::double", pa.array([2**53]), [2.0**53]),
        ("1::double", pa.array([0.1, float("nan")]), [0.1, float("nan")]),
        ("1::float", pa.array([0.1], pa.float32()), [float(np.float32(0.1))]),
        ("'a'", pa.array([1]), ["1"]),
        ("true", pa.array(["false"]), [False]),
        ("[1::bigint]", pa.array([[1, 2]], pa.list_(pa.int32())), [[1, 2]]),
        ("timestamp '2026-03-01'", pa.array(["2026-03-01 12:00-05:00"]), [REACHED]),
        ("timestamp '2026-03-01'", pa.array([AWARE], pa.timestamp("ns", "UTC")), [REACHED]),
        ("timestamp '2026-03-01'", pa.array([date(2026, 3, 1)]), [datetime(2026, 3, 1)]),
        ("date '2026-03-01'", pa.array([datetime(2026, 3, 2)]), [date(2026, 3, 2)]),
    ],
)
def test_a_pushed_value_stays_the_same(tmp_path, in_source, values, expected):
    assert str(push(tmp_path, in_source, values)) == str(expected)


@pytest.mark.parametrize(
    ("in_source", "values", "value"),
    [
        ("1::bigint", pa.array([1.0, 1.7]), "1.7"),
        ("1::bigint", pa.array(["1.7"]), "1.7"),
        ("1::bigint", pa.array([1e19]), "1e+19"),
        ("1::bigint", pa.array([float("nan")]), "nan"),
        ("1::bigint", pa.array([2.0**53]), "9007199254740992.0"),
        ("1::bigint", pa.array([AT]), str(AT)),
        ("1::bigint", pa.array([[1]]), "[1]"),
        ("1::integer", pa.array([2**31]), "2147483648"),
        ("1::double", pa.array([2**53 + 1]), "9007199254740993"),
        ("1::double", pa.array(["a"]), "a"),
        ("1::float", pa.array([0.1]), "0.1"),
        ("true", pa.array(["yes"]), "yes"),
        ("true", pa.array([2]), "2"),
        ("[1::bigint]", pa.array([[1.5]]), "[1.5]"),
        (
            "timestamp '2026-03-01'",
            pa.array([1], pa.timestamp("ns")),
            "1970-01-01 00:00:00.000000001",
        ),
        ("timestamp '2026-03-01'", pa.array(["yesterday"]), "yesterday"),
        ("timestamp '2026-03-01'", pa.array(["2026-03-01 00:00:00.0000001Z"]), ".0000001Z"),
        ("timestamp '2026-03-01'", pa.array([1]), "1"),
        ("date '2026-03-01'", pa.array([AT]), str(AT)),
    ],
)
def test_a_pushed_value_that_would_change_is_named_and_nothing_written(
    tmp_path, in_source, values, value
):
    with pytest.raises(OfflineDataError) as caught:
        push(tmp_path, in_source, values)
    assert "feature view 'v': column x is " in str(caught.value)
    assert f"{value}', which would change. Nothing was written." in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["pushed.parquet"]
    assert parquet.read_metadata(tmp_path / "pushed.parquet").num_rows == 1


def test_a_pushed_time_that_no_retrieval_could_read_is_not_written(tmp_path):
    table = pa.table({"k": [1], "ts": ["2026-03-01"], "trips": [1]})
    parquet.write_table(table, tmp_path / "facts.parquet")
    view = view_of("v", "facts.parquet", ["k"], FEATURES, created=None)
    bad = table.set_column(1, "ts", pa.array(["later"]))
    with pytest.raises(OfflineDataError, match="view 'v': column ts has 'later', which cannot be"):
        STORE.offline_write_batch(config_of(tmp_path), view, bad, None)
    assert parquet.read_table(tmp_path / "facts.parquet") == table
    halves = table.set_column(2, "trips", pa.array(np.array([1], "float16")))
    with pytest.raises(
        OfflineDataError, match="view 'v': column trips of type halffloat cannot be"
    ):
        STORE.offline_write_batch(config_of(tmp_path), view, halves, None)
