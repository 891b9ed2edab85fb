"""What a relation shows at a cut, by the type of its event time; and how rows are paired."""

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pytest
from martfeast.declaration.declared import Column, Label, LabelMart, MartTime, Restatement
from martfeast.feature_types import feature_type
from martfeast.places import Place
from martfeast.published.release import PublishedVersion
from martfeast.replay.compare import compare
from martfeast.replay.declared_time import DeclaredTime
from martfeast.replay.lineage import Lineage, Relation, Validity
from martfeast.replay.scratch import Cut, Scratch

DAY = "date '2026-03-01' + cast(i as integer)"
NOON, MIDNIGHT = datetime(2026, 3, 3, 12), datetime(2026, 3, 4)
FIRST, SECOND, THIRD = ((datetime(2026, 3, day).date(),) for day in (1, 2, 3))


def relation(sql: str, **declared: Any) -> Relation:
    fields: dict[str, Any] = {
        "unique_id": "model.shop.orders",
        "name": "orders",
        "kind": "model",
        "sql": '"shop"."main"."orders"',
        "made_by": sql,
        "location": None,
        "parents": (),
        "event_time": "known_on",
        "validity": None,
        "declared": DeclaredTime("", "", "end_of_day"),
        "jinja": (),
        "is_microbatch": False,
        "file": "models/orders.sql",
    }
    return Relation(**{**fields, **declared})


def shown(one: Relation, at: datetime, perturbation: str = "withheld") -> list[tuple[Any, ...]]:
    """The rows that a relation shows at a cut."""
    lineage = Lineage({one.unique_id: one}, {"shop": ""}, {"TimeZone": "America/New_York"}, {}, {})
    scratch = Scratch(lineage)
    scratch.build(Cut(at, "as asked", perturbation), {one.unique_id})
    return scratch.connection.execute(f"from {one.sql} order by all").fetchall()


def test_a_date_is_known_when_it_is_over():
    orders = relation(f"select {DAY} as known_on from range(9) numbers(i)")
    assert shown(orders, NOON) == [FIRST, SECOND]
    assert shown(orders, MIDNIGHT) == [FIRST, SECOND, THIRD]


def test_a_date_that_is_declared_so_is_known_when_it_begins():
    plan = relation(
        f"select {DAY} as known_on from range(9) numbers(i)",
        declared=DeclaredTime("", "", "start_of_day"),
    )
    assert shown(plan, NOON) == [FIRST, SECOND, THIRD]
    assert shown(plan, datetime(2026, 3, 3)) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("zone", ["", " at time zone 'UTC'"])
def test_a_moment_is_known_when_it_is(zone):
    orders = relation(f"select ({DAY})::timestamp{zone} as known_on from range(9) numbers(i)")
    assert len(shown(orders, NOON)) == 3


@pytest.mark.parametrize("perturbation", ["deleted", "delayed", "shuffled"])
def test_dates_stay_dates_where_later_ones_are_perturbed(perturbation):
    orders = relation(f"select {DAY} as known_on from range(9) numbers(i)")
    rows = shown(orders, NOON, perturbation)
    assert rows[:2] == [FIRST, SECOND]
    assert {type(day) for (day,) in rows} == {type(FIRST[0])}


@pytest.mark.parametrize(
    ("type_", "at", "states"),
    [
        # As of noon the second state is not known to have begun, nor the first to have ended.
        ("date", NOON, [("small", False)]),
        ("date", MIDNIGHT, [("big", False), ("small", True)]),
        ("timestamp", NOON, [("big", False), ("small", True)]),
        ("timestamptz", NOON, [("big", False), ("small", True)]),
    ],
)
def test_a_state_of_a_snapshot_ends_when_the_next_is_known(type_, at, states):
    day = f"cast(timestamp '2026-03-03' as {type_})"
    if type_ == "timestamptz":
        day = "timestamp '2026-03-03' at time zone 'UTC'"
    snapshot = relation(
        f"select 'small' as size, date '2026-01-01'::timestamp::{type_} as dbt_valid_from,"
        f" {day} as dbt_valid_to union all select 'big', {day}, null",
        kind="snapshot",
        event_time="dbt_valid_from",
        validity=Validity("dbt_valid_to", "null"),
    )
    found = [(size, until is not None) for size, _, until in shown(snapshot, at)]
    assert found == states


def test_an_event_time_that_is_no_time_is_refused():
    one = relation("select 1 as known_on")
    scratch = Scratch(Lineage({one.unique_id: one}, {"shop": ""}, {}, {}, {}))
    scratch.build(Cut(NOON, "as asked"), {one.unique_id})
    problem = scratch.failed[one.unique_id]
    assert problem.message == "Its event_time is known_on, which is INTEGER."


def label_mart(path: Path, natural_key: tuple[str, ...]) -> LabelMart:
    types = {"order_id": "bigint", "customer_id": "bigint", "asked_at": "timestamp"}
    types |= {"is_late": "boolean", "known_at": "timestamp"}
    return LabelMart(
        name="orders",
        unique_id="model.shop.orders",
        description="",
        group="",
        owner="",
        timestamp="asked_at",
        created="published_at",
        columns=[
            Column(n, t, feature_type(t), "", "customer" if n == "customer_id" else None, False)
            for n, t in types.items()
        ],
        model_version="",
        deprecation_date="",
        waivers=[],
        restatement=Restatement(),
        time=MartTime(),
        version=cast(PublishedVersion, SimpleNamespace(path=path)),
        place=Place(Path(), "models/orders.yml"),
        label=Label("is_late", "known_at", None),
        natural_key=natural_key,
    )


def test_rows_of_one_entity_and_moment_are_paired_by_the_key_of_their_own(tmp_path):
    """Two orders of a customer at once, of which one has another label now."""
    rows = (
        "select cast(i as bigint) as order_id, 7::bigint as customer_id,"
        " timestamp '2026-03-01' as asked_at, i = {} as is_late,"
        " timestamp '2026-03-02' as known_at from range(2) numbers(i)"
    )
    mart = label_mart(tmp_path / "orders.parquet", ("order_id",))
    duckdb.sql(f"copy ({rows.format(1)}) to '{mart.path}'")
    replayed = relation(rows.format(9), event_time="known_at")
    scratch = Scratch(Lineage({mart.unique_id: replayed}, {"shop": ""}, {}, {}, {}))
    scratch.build(None, {mart.unique_id})
    found = compare(scratch, mart, Cut(NOON, "as asked"))
    assert (found.compared, found.missing, found.extra) == (2, 0, 0)
    assert found.changed == {"is_late": 1}
    assert found.examples == [
        "customer_id 7, order_id 1, asked_at 2026-03-01 00:00:00: is_late is True, and was False"
    ]
