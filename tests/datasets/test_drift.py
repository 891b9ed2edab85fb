"""How far a distribution moved: by hand, and on simulated columns."""

import json
import math
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from martfeast.datasets.audit import (
    count_infinite,
    measure_columns,
    measure_groups,
    measure_label,
)
from martfeast.datasets.changes import changes_in_rows
from martfeast.datasets.drift import (
    measure_drift,
    reading,
    stability_index,
    standardized_difference,
)


def drift(before: str, after: str):
    """The drift of column v between two SELECTs."""
    with duckdb.connect() as connection:
        (found,) = measure_drift(connection, f"({before})", f"({after})", ["v"])
    return found


def test_the_index_by_hand():
    """Shares 1/4 and 3/4 against 1/2 and 1/2, with half a row added to each of two bins."""
    before, after = (25.5 / 101, 75.5 / 101), (50.5 / 101, 50.5 / 101)
    expected = sum((a - b) * math.log(a / b) for b, a in zip(before, after, strict=True))
    assert stability_index([25, 75], [50, 50]) == pytest.approx(expected)
    assert stability_index([50, 50], [25, 75]) == pytest.approx(expected), "it is symmetric"
    assert stability_index([25, 75], [2500, 7500]) == pytest.approx(0, abs=1e-3)
    assert [reading(psi) for psi in (0.09, 0.1, 0.24, 0.25)] == [
        "alike",
        "look",
        "look",
        "different",
    ]


def test_the_difference_of_means_is_in_standard_deviations():
    assert standardized_difference((1, 4), (9, 9)) == 1
    assert standardized_difference((4, 1), (0, 8)) == -1.5
    assert standardized_difference((1, 1), (0, 0)) == 0
    assert standardized_difference((1, 2), (0, 0)) is None, "no spread to measure in"
    assert standardized_difference((None, 2), (None, 1)) is None


def test_numbers_are_divided_at_the_tenths_of_those_before():
    """Shifted by one tenth: the lowest bin empties into the next, the highest doubles."""
    found = drift(
        "select i as v from range(1000) t(i)", "select i + 100 as v from range(1000) t(i)"
    )
    expected = stability_index([100] * 10, [0] + [100] * 8 + [200])
    assert found.psi == pytest.approx(expected, rel=0.05)
    assert found.standardized_difference == pytest.approx(100 / math.sqrt((1000**2 - 1) / 12))


@pytest.mark.parametrize("type_", ["varchar", "boolean", "integer", "double"])
def test_few_values_are_bins_of_their_own(type_):
    sql = "select cast(i < {} as {}) as v from range(100) t(i)"
    if type_ == "varchar":
        sql = "select case when i < {} then 'a' else 'b' end::{} as v from range(100) t(i)"
    found = drift(sql.format(25, type_), sql.format(50, type_))
    assert found.psi == pytest.approx(stability_index([25, 75], [50, 50]))


def test_null_is_a_bin_and_a_share():
    found = drift(
        "select case when i >= 10 then i % 2 end as v from range(100) t(i)",
        "select case when i >= 40 then i % 2 end as v from range(100) t(i)",
    )
    assert found.missing_shares == (pytest.approx(0.1), pytest.approx(0.4))
    assert found.psi == pytest.approx(stability_index([10, 45, 45], [40, 30, 30]))


def test_values_that_are_new_are_seen():
    found = drift("select 'a' as v from range(100)", "select 'b' as v from range(100)")
    assert found.psi == pytest.approx(stability_index([0, 100], [100, 0]))


@pytest.mark.parametrize(
    "value",
    ["null::double", "[i, 1]", "timestamp '2026-01-01' + to_hours(i::int)", "'x' || i", "i::float"],
)
def test_what_did_not_move_did_not_move(value):
    sql = f"select {value} as v from range(500) t(i)"
    assert drift(sql, sql).psi == 0


def test_columns_are_measured():
    with duckdb.connect() as connection:
        measured = measure_columns(
            connection,
            "(select i as n, case when i > 0 then 'x' || i end as s, [i] as l from range(4) t(i))",
            {"n": "BIGINT", "s": "VARCHAR", "l": "BIGINT[]"},
        )
    assert measured["n"] == {
        "missing_share": 0,
        "minimum": 0,
        "mean": 1.5,
        "maximum": 3,
        "distinct": 4,
    }
    assert (measured["s"]["missing_share"], measured["s"]["minimum"]) == (0.25, "x1")
    assert (measured["s"]["maximum"], measured["s"]["mean"]) == ("x3", None)
    assert measured["l"]["minimum"] is None


ODD = "case i % 4 when 0 then 'nan'::double when 1 then 1e308 when 2 then 1.7e308 else 'inf' end"


def test_nan_is_missing_and_sums_beyond_all_doubles_have_means():
    types = {"odd": "DOUBLE", "none": "FLOAT", "low": "DOUBLE"}
    rows = f"(select {ODD} as odd, 'nan'::float as none, -1e308 as low from range(100) t(i))"
    with duckdb.connect() as connection:
        measured = measure_columns(connection, rows, types)
        assert count_infinite(connection, rows, types) == {"odd": 25}
        assert count_infinite(connection, rows, {"odd": "BIGINT"}) == {}
    assert [one["missing_share"] for one in measured.values()] == [0.25, 1, 0]
    assert [one["mean"] for one in measured.values()] == [1.35e308, None, -1e308]
    assert [one["distinct"] for one in measured.values()] == [3, 0, 1]
    assert json.dumps(measured, allow_nan=False)


@pytest.mark.parametrize("type_", ["double", "float"])
def test_nan_here_and_null_there_are_alike(type_):
    """Where few values are told one by one, and where many are divided."""
    for values in ("i % 5", "i"):
        value = f"case when i % 3 = 0 then {{}} else {values} end::{type_}"
        sql = f"select {value} as v from range(900) t(i)"
        found = drift(sql.format("'nan'::double"), sql.format("null"))
        assert (found.psi, found.standardized_difference) == (0, 0)
        assert found.missing_shares == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_infinite_and_huge_numbers_are_values_and_their_drift_is_finite():
    same = f"select {ODD} as v from range(100) t(i)"
    assert drift(same, same).psi == drift(same, same).standardized_difference == 0
    moved = drift(same, f"select -{ODD} as v from range(100) t(i)")
    assert moved.psi > 1
    assert moved.standardized_difference == pytest.approx(-2 * 1.35 / 0.35)
    many = drift("select i * 1e306 as v from range(150) t(i)", "select i as v from range(150) t(i)")
    assert json.dumps([many.psi, many.standardized_difference], allow_nan=False)


def test_labels_that_are_infinite_or_huge_have_a_base_rate_of_the_finite_ones():
    label = SimpleNamespace(column="y", known_at="known", reason_column="reason", groups=["g"])
    column = SimpleNamespace(name="g", description="")
    mart: Any = SimpleNamespace(label=label, columns=[column])
    rows = (
        f"(select nullif({ODD}, 'nan') as y, now()::timestamp as event_timestamp, i % 2 as g,"
        " now()::timestamp as known, null as reason from range(100) t(i))"
    )
    with duckdb.connect() as connection:
        audit = measure_label(connection, mart, rows)
        (group,) = measure_groups(connection, mart, rows, rows)
    assert (audit.labelled, audit.base_rate, audit.is_share) == (75, 1.35e308, False)
    assert {level.level: level.base_rate for level in group.levels} == {"0": 1.7e308, "1": 1e308}


class Counting:
    """A DuckDB that keeps what it is asked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.asked: list[str] = []

    def execute(self, sql: str, *parameters):
        self.asked.append(sql)
        return self.connection.execute(sql, *parameters)


def test_twice_the_columns_take_twice_as_much():
    """No statement widens with the relation, and few read of it: either costs its square."""
    asked = {}
    for count in (110, 220):
        names = [f"feature_{number:03}" for number in range(count)]
        values = ", ".join(f"i + {number}.5::double as {name}" for number, name in enumerate(names))
        with duckdb.connect() as plain:
            plain.execute(f"create table wide as select i as key, {values} from range(60) t (i)")
            connection: Any = Counting(plain)
            types = dict.fromkeys(names, "DOUBLE")
            assert len(measure_columns(connection, "wide", types)) == count
            assert count_infinite(connection, "wide", types) == {}
            halves = ("wide where key < 30", "wide where key >= 30")
            assert len(measure_drift(connection, *halves, names)) == count
            assert list(changes_in_rows(connection, "wide", "wide", ["key"], names)) == []
        asked[count] = connection.asked
    few, many = asked.values()
    assert max(map(len, many)) == max(map(len, few))
    assert len(many) < 2 * len(few)
    assert sum("wide" in sql for sql in many) < 220 / 10
