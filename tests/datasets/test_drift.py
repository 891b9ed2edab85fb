"""How far a distribution moved: by hand, and on simulated columns."""

import math

import duckdb
import pytest
from martfeast.datasets.audit import measure_columns
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
