"""Odd entity frames: each has a right answer, or one sentence with the column and what to do."""

import datetime as dt
import decimal
import enum
import fractions
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from asof_oracle import START, retrieve, view_of
from martfeast.offline_store import OfflineDataError
from pyarrow import parquet

T = pd.Timestamp("2026-03-03")
ZONED = T.tz_localize("UTC")
FINE = T + pd.Timedelta(1, "ns")


class Kind(enum.Enum):
    A = 1


class Silent:
    """An object that cannot be shown, compared or counted."""

    def __repr__(self):
        raise RuntimeError

    def __eq__(self, other):
        raise RuntimeError

    def __hash__(self):
        raise RuntimeError


def objects(*values: Any) -> "pd.Series[Any]":
    column = pd.Series([None] * len(values), dtype=object)
    for number, value in enumerate(values):
        column.iat[number] = value
    return column


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"k": [1, 1], "event_timestamp": [T, T], **columns})


def named(*names: Any) -> pd.DataFrame:
    """One row with columns of these names, after the key and the moment."""
    labels = pd.Index(["k", "event_timestamp", *names], tupleize_cols=False)
    return pd.DataFrame([[1, T, *range(len(names))]], columns=labels)


def arrow(**columns: Any) -> pa.Table:
    return pa.table({"k": [1], "event_timestamp": [START], **columns})


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def plain(value: Any) -> Any:
    """Return a value with lists of all kinds as lists, and all that is missing as None."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    return None if pd.isna(value) else value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
D = decimal.Decimal

# Columns beside the key and the moment that come back as they were.
KEPT: dict[str, Any] = {
    "lists": objects([1], [2, 3]),
    "lists of lists": objects(nested(5), nested(5)),
    "dictionaries": objects({"a": 1, "b": [T]}, {"a": 2, "b": []}),
    "tuples": objects((1, 2), (3,)),
    "bytes": [b"a", b"\xff"],
    "decimals": [D("1.5"), D("2.25")],
    "categories": pd.Categorical(["a", "b"]),
    "periods": pd.period_range("2026", "2027", freq="Y"),
    "intervals": pd.interval_range(0, 2),
    "durations": pd.to_timedelta([1, 2], "ns"),
    "Python's durations": objects(dt.timedelta(1), dt.timedelta(2)),
    "sparse": pd.arrays.SparseArray([0, 1]),
    "nullable integers": pd.array([1, None], dtype="Int64"),
    "nullable booleans": pd.array([True, None], dtype="boolean"),
    "nullable text": pd.array(["a", None], dtype="string"),
    "lists of Arrow": objects([1], None).astype(pd.ArrowDtype(pa.list_(pa.int64()))),
    "unsigned": np.array([2**64 - 1, 1], dtype="uint64"),
    "whole numbers and others": objects(1, 1.5),
    "numbers and NA": objects(pd.NA, 1),
    "UUIDs": objects(uuid.UUID(int=1), uuid.UUID(int=2)),
    "times of day": objects(dt.time(1), dt.time(2)),
    "far moments": np.array(["12000-01-01", "-0005-01-01"], dtype="datetime64[s]"),
    "moments in nanoseconds": [FINE, T],
    "infinities": [np.inf, np.nan],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parquet.write_table(pa.table({"k": [1], "ts": [START], "v": [7]}), tmp_path / "facts.parquet")
    return tmp_path


def job_of(folder: Path, entity_df: Any) -> Any:
    view = view_of("view", "facts.parquet", ["k"], ["v"], created=None)
    return retrieve(folder, [view], ["view:v"], entity_df)


@pytest.mark.parametrize("name", KEPT)
def test_a_column_that_arrow_has_comes_back(folder, name):
    found = job_of(folder, frame(x=KEPT[name]))
    assert found.to_df()["v"].tolist() == [7, 7]
    given, kept = frame(x=KEPT[name])["x"], found.to_df()["x"]
    assert [*map(plain, kept)] == [*map(plain, given)]


# Frames that have an answer: the features of their rows.
ANSWERED: dict[str, tuple[Any, list[int | None]]] = {
    "no rows": (frame().iloc[:0], []),
    "no rows of objects": (pd.DataFrame({"k": [], "event_timestamp": []}, dtype=object), []),
    "doubled index": (frame().set_index(pd.Index([0, 0])), [7, 7]),
    "index of NaN": (frame().set_index(pd.Index([np.nan, np.nan])), [7, 7]),
    "no moments": (frame(event_timestamp=[pd.NaT, pd.NaT]), [None, None]),
    "one moment": (frame(event_timestamp=[pd.NaT, T]), [None, 7]),
    "first and last moments": (
        frame(event_timestamp=objects(dt.datetime.max, dt.datetime.min)),
        [7, None],
    ),
    "moments of two zones": (
        frame(event_timestamp=objects(ZONED, ZONED.tz_convert("Asia/Tokyo"))),
        [7, 7],
    ),
    "dates": (frame(event_timestamp=[dt.date(2026, 3, 3)] * 2), [7, 7]),
    "text of both kinds": (frame(event_timestamp=["2026-03-03", "2026-03-03T00:00Z"]), [7, 7]),
    "moments as categories": (frame(event_timestamp=pd.Categorical([T, T])), [7, 7]),
    "keys as categories": (frame(k=pd.Categorical([1, 2])), [7, None]),
    "keys with gaps": (frame(k=[1.0, np.nan]), [7, None]),
    "keys with NA": (frame(k=pd.array([1, None], dtype="Int64")), [7, None]),
    "keys beyond the view's": (frame(k=np.array([2**64 - 1, 1], dtype="uint64")), [None, 7]),
    "names of the store's own": (
        named(*["c0", "k0", "f0", "n0", "ts", "moment", "position", "rowid", "created", "usable"]),
        [7],
    ),
    "names of its tables": (named("entity_rows", "entity_frame", "view_0", "facts"), [7]),
    "names that are no text": (named(1, None, ("a", "b"), T, b"x", np.nan), [7]),
    "names that need quotes": (named("", 'a"b', "a'b", "a\0b", "select", "K", "é"), [7]),
    "run-end encoded": (arrow(x=pa.RunEndEncodedArray.from_arrays([1], ["a"])), [7]),
    "view of text": (arrow(x=pa.array(["a"], pa.string_view())), [7]),
    "only nulls": (pa.table({"k": pa.nulls(1), "event_timestamp": pa.nulls(1)}), [None]),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_a_frame_that_can_be_read_is_answered(folder, name):
    given, features = ANSWERED[name]
    found = job_of(folder, given)
    assert found.to_arrow()["v"].to_pylist() == features
    assert len(found.to_df()) == len(features)
    assert sum(batch.num_rows for batch in found.to_arrow_batches()) == len(features)


NOT_A_TIME = "must be a timestamp, a date, or text that is one. Convert it."
KIND = "Give a pandas DataFrame, an Arrow table, the path of a Parquet file, or an SQL query."
RENAME = "Rename one"
CONVERT = "Convert it to numbers, text or times."
MIXED = "Convert it to one of them."

# Frames that are refused: what the sentence names, and the next step.
REFUSED: dict[str, tuple[Any, str, str]] = {
    "doubled columns": (named("k"), "one name: k", RENAME),
    "names alike as text": (named(1, "1"), "one name: 1", RENAME),
    "doubled columns of Arrow": (
        pa.Table.from_arrays([pa.array([1])] * 2, names=["k", "k"]),
        "one name: k",
        RENAME,
    ),
    "a feature's name": (frame(v=[1, 2]), "v is a column of the entity frame", RENAME),
    "names in two levels": (
        pd.DataFrame([[1, T]], columns=pd.MultiIndex.from_product([["k"], ["a", "b"]])),
        "has no column k",
        "It has: ('k', 'a')",
    ),
    "no columns": (pd.DataFrame(index=[1, 2]), "has no columns", "Give it the keys"),
    "keys in the index": (frame().set_index("k"), "has no column k", "It has: event_timestamp"),
    "numbers as names": (pd.DataFrame({0: [1], 1: [T]}), "has no column k", "It has: 0, 1"),
    "half a character in a name": (named("\ud800"), r"column \\ud800", "Correct it."),
    "a name without text": (named(Silent()), "column 2 is called by an object", "Rename it."),
    "half a character": (frame(x=["\ud800", "a"]), "column x", "Correct it."),
    "half a character in a list": (frame(x=objects(["\udfff"], [])), "column x", "Correct it."),
    "half a character in categories": (
        frame(x=pd.Categorical(["\ud800", "a"])),
        "column x",
        "Correct it.",
    ),
    "objects": (frame(x=objects(object(), object())), "column x", CONVERT),
    "silent objects": (frame(x=objects(Silent(), Silent())), "column x", CONVERT),
    "objects as categories": (
        frame(x=pd.Categorical(objects(Kind.A, Kind.A))),
        "column x",
        CONVERT,
    ),
    "enumerations": (frame(x=objects(Kind.A, Kind.A)), "column x", CONVERT),
    "types": (frame(x=objects(int, str)), "column x", CONVERT),
    "frames": (frame(x=objects(frame(), frame())), "column x", CONVERT),
    "ranges": (frame(x=objects(range(2), range(3))), "column x", CONVERT),
    "frozen sets": (frame(x=objects(frozenset([1]), frozenset())), "column x", CONVERT),
    "complex numbers": (frame(x=[1j, 2j]), "column x", CONVERT),
    "fractions": (frame(x=objects(fractions.Fraction(1, 3), 1)), "column x", CONVERT),
    "long doubles": (frame(x=np.array([1, 2], dtype="longdouble")), "column x", CONVERT),
    "half floats": (frame(x=np.array([1, 2], dtype="float16")), "column x", "Convert it."),
    "huge integers": (frame(x=objects(10**30, 1)), "column x", CONVERT),
    "integers that doubles lack": (frame(x=objects(2**53 + 1, 0.5)), "column x", CONVERT),
    "decimals and floats": (frame(x=objects(D("1.5"), 2.5)), "column x", CONVERT),
    "infinite decimals": (frame(x=objects(D("Infinity"), D(2))), "column x", CONVERT),
    "long decimals": (frame(x=objects(D("1e60"), D("1e-60"))), "column x", CONVERT),
    "decimals of 50 digits": (frame(x=objects(D("1" * 50), D(2))), "column x", "Convert it."),
    "itself": (frame(x=objects(ITSELF, [1])), "column x is nested deeper", "Flatten it."),
    "deep lists": (frame(x=objects(nested(9999), [])), "column x is nested deeper", "Flatten it."),
    "keys of numbers": (frame(x=objects({1: 2}, {3: 4})), "column x", CONVERT),
    "booleans and numbers": (frame(x=objects(True, 2)), "booleans and numbers", MIXED),
    "bytes and text": (frame(x=objects(b"a", "a")), "bytes objects and text", MIXED),
    "lists and numbers": (frame(x=objects([1], 2)), "column x mixes lists and numbers", MIXED),
    "lists of both": (frame(x=objects([1], ["a"])), "column x mixes numbers and text", MIXED),
    "dictionaries of both": (
        frame(x=objects({"a": 1}, {"a": "x"})),
        "column x mixes numbers and text",
        MIXED,
    ),
    "lists of both times": (
        frame(x=objects([T], [ZONED])),
        "column x mixes times with a zone and times without a zone",
        MIXED,
    ),
    "lists of nanoseconds": (frame(x=objects([FINE], [T])), "column x has '2026", "Round it."),
    "times of day with a zone": (
        frame(x=[dt.time(1, tzinfo=dt.UTC)] * 2),
        "column x has times of day with a zone",
        "Leave the zone out.",
    ),
    "times with and without a zone": (
        frame(event_timestamp=objects(T, ZONED)),
        "column event_timestamp mixes times with a zone and times without a zone",
        MIXED,
    ),
    "dates and times": (
        frame(event_timestamp=objects(dt.date(2026, 3, 3), dt.datetime(2026, 3, 3))),
        "column event_timestamp mixes dates and times without a zone",
        MIXED,
    ),
    "text and times": (frame(event_timestamp=objects("2026", T)), "mixes text and times", MIXED),
    "moments of numbers": (frame(event_timestamp=[1, 2]), "event_timestamp is BIGINT", NOT_A_TIME),
    "no rows of no type": (frame(event_timestamp=[1.5, 2]).iloc[:0], "DOUBLE", NOT_A_TIME),
    "moments of booleans": (frame(event_timestamp=[True, False]), "BOOLEAN", NOT_A_TIME),
    "moments of periods": (
        frame(event_timestamp=pd.period_range("2026", periods=2, freq="D")),
        "column event_timestamp",
        NOT_A_TIME,
    ),
    "moments of durations": (
        frame(event_timestamp=pd.to_timedelta([1, 2])),
        "column event_timestamp is INTERVAL",
        NOT_A_TIME,
    ),
    "moments in nanoseconds": (frame(event_timestamp=[FINE, T]), "2026-03-03", "or round it"),
    "moments of NumPy": (
        frame(event_timestamp=objects(np.datetime64("2026-03-03"), None)),
        "column event_timestamp",
        CONVERT,
    ),
    "year 12000": (
        frame(event_timestamp=np.array(["12000-01-01"] * 2, dtype="datetime64[s]")),
        "event_timestamp has '12000-01-01 00:00:00'",
        "years 1 to 9999",
    ),
    "year -5": (
        frame(event_timestamp=np.array(["-0005-01-01"] * 2, dtype="datetime64[s]")),
        r"\(BC\)",
        "years 1 to 9999",
    ),
    "beyond all years": (
        pa.table({"k": [1], "event_timestamp": pa.array([2**60], pa.timestamp("s"))}),
        "column event_timestamp has 'a value that is out of range'",
        "Correct or round it",
    ),
    "no moments": (frame().drop(columns="event_timestamp"), "no time column", "Call the column"),
    "two moments": (
        frame(a=[T, T], b=[T, T]).drop(columns="event_timestamp"),
        "the time columns a, b",
        "Call the column",
    ),
    "keys of fractions": (frame(k=[1.0, 1.5]), "Column k .* '1.5'", "convert the column"),
    "infinite keys": (frame(k=[1.0, np.inf]), "Column k .* 'inf'", "convert the column"),
    "keys of text": (frame(k=["1", "x"]), "Column k .* VARCHAR", "Convert one of them"),
    "keys of booleans": (frame(k=[True, False]), "Column k .* BOOLEAN", "Convert one of them"),
    "keys of lists": (frame(k=objects([1], [2])), r"Column k .* BIGINT\[\]", "Convert one of them"),
    "keys of bytes": (frame(k=[b"a", b"b"]), "Column k .* BLOB", "Convert one of them"),
    "damaged text": (
        arrow(x=pa.array([b"\xff"]).view(pa.string())),
        "column x is damaged",
        "Write it anew.",
    ),
    "damaged categories": (
        arrow(x=pa.DictionaryArray.from_arrays(pa.array([7]), pa.array(["a"]), safe=False)),
        "column x is damaged",
        "Write it anew.",
    ),
    "a decimal of 76 digits": (
        arrow(x=pa.array([D(1)], pa.decimal256(76, 2))),
        "column x of type decimal256",
        "Convert it.",
    ),
    "a column by itself": (pd.Series([1]), "is a Series", KIND),
    "a dictionary": ({"k": [1]}, "is a dict", KIND),
    "a list": ([1], "is a list", KIND),
    "bytes of a query": (b"select 1", "is a bytes", KIND),
    "no file": ("none.parquet", "none.parquet", "It was"),
    "no file of zero bytes": ("a\0.parquet", r"a\\x00.parquet", "It was"),
    "a long name": ("a" * 5000 + ".parquet", "File name too long", "It was"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_frame_that_cannot_be_read_is_refused_in_a_sentence(folder, name):
    given, names, fix = REFUSED[name]
    with pytest.raises(OfflineDataError, match=names) as caught:
        job_of(folder, given)
    said = str(caught.value)
    assert fix in said
    assert said.isprintable()
    assert len(said) < 1200


@pytest.mark.parametrize(
    "column",
    [
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        pa.array([START], pa.timestamp("us", "Mars/Phobos")),
    ],
    ids=["union", "zone"],
)
def test_what_only_pandas_lacks_is_refused_by_the_step_to_pandas(folder, column):
    found = job_of(folder, arrow(x=column))
    assert found.to_arrow()["v"].to_pylist() == [7]
    with pytest.raises(OfflineDataError, match=r"Column x of type .* with to_arrow, or co"):
        found.to_df()
