"""The same rows on DuckDB and on Spark: every table, and what a comparison would find."""

import json
from pathlib import Path

import pytest
from martfeast.engines.duckdb import connect_in_utc
from nyc_flights.parity import Parity, compare, compare_all, relations_of

COLUMNS = "known_at timestamp, entity varchar, amount bigint, rate double"
ROWS = """
    (timestamp '2013-03-10 07:00:00', 'a', 1, 0.1),
    (timestamp '2013-03-10 07:00:00', 'a', 1, 0.1),
    (timestamp '2013-03-10 08:00:00', 'a', null, null),
    (null, null, 3, 'nan'::double),
    (timestamp '2013-03-10 09:00:00', 'b', 4, 0.0)
"""


def test_every_table_is_the_same_in_every_bit(built_on_spark: Path) -> None:
    relations = set(relations_of(built_on_spark))
    assert {"staging.stg_nycflights13__flights", "marts.fct_flights"} < relations
    assert len(relations) == 31
    found = compare_all(built_on_spark)
    assert {parity.relation for parity in found} == relations
    assert [str(p) for p in found if not p.is_equal or p.last_place or not p.rows] == []


def test_the_same_tests_and_unit_tests_passed_on_both(built_on_spark: Path) -> None:
    passed = [
        {
            result["unique_id"]
            for result in json.loads((built_on_spark / artifacts).read_text())["results"]
            if result["unique_id"].split(".")[0] in ("test", "unit_test")
            and result["unique_id"].split(".")[1] == "nyc_flights"
            and result["status"] in ("pass", "warn")
        }
        for artifacts in ("target/run_results.json", "target/spark/run_results.json")
    ]
    assert passed[0] == passed[1]
    assert len([name for name in passed[0] if name.startswith("unit_test.")]) == 21
    assert "test.nyc_flights.dates_are_counted_by_their_boundaries" in passed[1]


def compared(changes: str, columns: str = COLUMNS) -> Parity:
    """Compare ROWS with the same rows after statements that change the table `spark`."""
    with connect_in_utc() as connection:
        for table, with_columns in (("duck", COLUMNS), ("spark", columns)):
            connection.execute(f"create table {table} ({with_columns})")
            connection.execute(f"insert into {table} values {ROWS}")
        connection.execute(changes)
        return compare(connection, "marts.example", "duck", "spark")


def test_the_same_rows_in_another_order_are_equal() -> None:
    found = compared("create table o as from spark; delete from spark;"
                     " insert into spark from o order by amount desc, rate desc")  # fmt: skip
    assert found.is_equal
    assert str(found) == "marts.example: 5 rows, equal in every bit"


@pytest.mark.parametrize(
    ("change", "only_duckdb", "only_spark"),
    [
        ("delete from spark where entity = 'b'", 1, 0),
        ("insert into spark from spark where entity = 'b'", 0, 1),
        ("delete from spark where amount = 1;"
         " insert into spark values (timestamp '2013-03-10 07:00:00', 'a', 1, 0.1)", 1, 0),
        ("update spark set amount = 5 where entity = 'b'", 1, 1),
        ("update spark set known_at = known_at + interval 1 microsecond where entity = 'b'", 1, 1),
        ("update spark set entity = '' where entity is null", 1, 1),
        ("update spark set amount = 0 where amount is null", 1, 1),
        ("update spark set rate = null where isnan(rate)", 1, 1),
        ("update spark set rate = 0.0 where rate is null", 1, 1),
        ("update spark set rate = rate + 1e-16 where rate = 0.1", 2, 2),
    ],
)  # fmt: skip
def test_a_row_that_differs_is_counted_on_both_sides(
    change: str, only_duckdb: int, only_spark: int
) -> None:
    found = compared(change)
    assert not found.is_equal
    assert (found.only_duckdb, found.only_spark) == (only_duckdb, only_spark)
    assert "of 5 rows" in str(found)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("update spark set rate = nextafter(rate, 1) where rate = 0.1", 2),
        ("update spark set rate = nextafter(rate, 0) where rate = 0.1", 2),
        # DuckDB updates no value that is equal.
        ("delete from spark where rate = 0.0; insert into spark"
         " values (timestamp '2013-03-10 09:00:00', 'b', 4, '-0.0'::double)", 1),
    ],
)  # fmt: skip
def test_one_unit_in_the_last_place_is_let_through_and_said(change: str, rows: int) -> None:
    found = compared(change)
    assert found.is_equal
    assert found.last_place == {"rate": rows}
    assert str(found) == (
        f"marts.example: 5 rows, equal but for the last place of rate ({rows} rows)"
    )


def test_two_units_in_the_last_place_are_a_difference() -> None:
    found = compared("update spark set rate = nextafter(nextafter(rate, 1), 1) where rate = 0.1")
    assert (found.only_duckdb, found.only_spark) == (2, 2)


def test_other_types_and_columns_are_a_difference() -> None:
    found = compared("", columns=COLUMNS.replace("bigint", "integer"))
    assert not found.is_equal
    assert found.types == ["amount: BIGINT and INTEGER"]
    found = compared("alter table spark drop column amount; alter table spark add column more date")
    assert found.types == ["amount: BIGINT and none", "more: none and DATE"]
