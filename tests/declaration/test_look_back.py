"""Windows that a run of an incremental model would cut off, found in its SQL."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
from martfeast.declaration.project import declare
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.from_dbt.graph import parse_graph
from martfeast.problems import ProblemLog
from martfeast.published.release import Release

TITLES = "title_availability"
SEED = "{{ ref('shelf_checks') }}"
WINDOW = (
    "sum(copies_free) over (partition by title_id order by known_at"
    " range between interval 3 day preceding and current row)"
)
AFTER = "known_at > (select max(known_at) from {{ this }})"
SINCE = "known_at > (select max(known_at) - interval 4 day from {{ this }})"
MICROBATCH, MERGE, TABLE = "microbatch", "merge", None


@pytest.fixture(scope="module")
def found(parsed_library, manifest):
    """Return what is said of a mart of some SQL, made by a strategy."""
    artifacts = read_artifacts(parsed_library.path)

    def say(strategy, sql, event_time="known_at"):
        edited = copy.deepcopy(manifest)
        model = edited["nodes"][f"model.library.{TITLES}"]
        model["raw_code"] = sql
        if strategy:
            model["config"].update(
                materialized="incremental", incremental_strategy=strategy, batch_size="day",
                begin="2026-03-01",
            )  # fmt: skip
        edited["nodes"]["seed.library.shelf_checks"]["config"]["event_time"] = event_time
        graph = parse_graph(edited, Path("manifest.json"))
        problems = declare(replace(artifacts, graph=graph), Release(), ProblemLog()).problems
        return [str(one) for one in problems if one.rule == "window-cut-off"]

    return say


@pytest.mark.parametrize(
    ("strategy", "sql", "length"),
    [
        (MICROBATCH, f"select {WINDOW} as n from {SEED}", "3 days"),
        (MICROBATCH, f"with a as (select * from {SEED}), b as (select {WINDOW} as n from a)"
         " select * from b", "3 days"),
        (MICROBATCH, f"select lag(n) over (order by known_at) as n from {SEED}",
         "rows before it, however far back"),
        (MICROBATCH, f"select sum(n) over w as n from {SEED} window w as (order by known_at"
         " rows between 6 preceding and current row)", "rows before it, however far back"),
        (MICROBATCH, f"select sum(n) over w as n from {SEED} window w as"
         " {{ rolling_window('a', 'b', 24) }}", "rows before it, however far back"),
        (MICROBATCH, "{{ config(materialized='incremental') }} -- {{ words }}\n"
         f"select {WINDOW} as n from (select * from {SEED}) as a", "3 days"),
        (MERGE, f"select {WINDOW} as n from {SEED} {{% if is_incremental() %}} where {AFTER}"
         " {% endif %}", "3 days"),
        (MERGE, f"with a as (select * from {SEED} {{% if is_incremental() %}} where {SINCE}"
         f" {{% endif %}}) select {WINDOW} as n from a", "3 days"),
        # Two days are left of four, and three are looked back.
        (MERGE, f"with a as (select * from {SEED} where {SINCE}), b as (select {WINDOW} as n,"
         " known_at from a) select * from b where known_at > (select max(known_at) -"
         " interval 2 day from {{ this }})", "3 days"),
        ("replace_range", "{% set increment = martfeast.increment() %}"
         f"with a as (select * from {SEED} {{% if increment %}} where known_at >="
         f" {{{{ increment.start }}}} {{% endif %}}) select {WINDOW} as n from a", "3 days"),
        ("replace_range", f"with a as (select * from {SEED} where"
         f" {{{{ martfeast.in_increment('known_at') }}}}) select {WINDOW} as n from a", "3 days"),
        ("replace_range", f"with a as (select * from {SEED} where {{{{ martfeast.in_increment("
         f"'known_at', look_back='2 days') }}}}) select {WINDOW} as n from a", "3 days"),
        ("replace_range", f"select sum(n) over w as n from {SEED} where"
         " {{ martfeast.in_increment('known_at') }} window w as {{ rolling_window('a', 'b', 24) }}",
         "rows before it, however far back"),
    ],
)  # fmt: skip
def test_a_window_that_is_cut_off_is_named(found, strategy, sql, length):
    (said,) = found(strategy, sql)
    assert f"{TITLES}  [window-cut-off]" in said
    assert f"A window of {length} reads ref('shelf_checks')" in said
    assert "martfeast.windowed_features" in said


@pytest.mark.parametrize(
    ("strategy", "sql"),
    [
        (TABLE, f"select {WINDOW} as n from {SEED}"),
        (MICROBATCH, f"select {WINDOW} as n from {{{{ ref('shelf_checks').render() }}}}"),
        (MICROBATCH, f"select copies_free as n from {SEED}"),
        (MICROBATCH, f"select sum(n) as n from {SEED} group by date_trunc('day', known_at)"),
        (MICROBATCH, f"select sum(n) over (partition by date_trunc('day', known_at)) from {SEED}"),
        (MICROBATCH, f"select * from {SEED} qualify row_number() over (partition by title_id,"
         " known_at order by copies_free) = 1"),
        (MICROBATCH, "{{ martfeast.windowed_features(facts=ref('shelf_checks')) }}"),
        (MICROBATCH, "this is no SQL ((("),
        (MERGE, f"with a as (select {WINDOW} as n, known_at from {SEED}) select * from a"
         f" {{% if is_incremental() %}} where {AFTER} {{% endif %}}"),
        (MERGE, f"with a as (select * from {SEED} {{% if is_incremental() %}} where {SINCE}"
         f" {{% endif %}}), b as (select {WINDOW} as n, known_at from a) select * from b"
         f" {{% if is_incremental() %}} where {AFTER} {{% endif %}}"),
        (MERGE, f"select {WINDOW} as n from {SEED} {{% if not is_incremental() %}}"
         f" where {AFTER} {{% endif %}}"),
        (MERGE, f"select {WINDOW} as n from {SEED} {{% if is_incremental() %}} {{% else %}}"
         f" where {AFTER} {{% endif %}}"),
        ("replace_range", f"with a as (select * from {SEED} where {{{{ martfeast.in_increment("
         f"'known_at', look_back='3 days') }}}}) select {WINDOW} as n from a"),
        # How far a macro of the project looks is not known; that it looks back is said.
        ("replace_range", f"select sum(n) over w as n from {SEED} where"
         " {{ martfeast.in_increment('known_at', look_back='3 days') }}"
         " window w as {{ rolling_window('a', 'b', 24) }}"),
        # What else is read, the model says itself: the row before, however long ago it was.
        ("replace_range", f"with a as (select * from {SEED} where {{{{ martfeast.in_increment("
         "'known_at') }} or known_at in (select b.known_at from b))"
         " select lag(n) over (order by known_at) as n from a"),
    ],
)  # fmt: skip
def test_what_is_not_cut_off_is_not_named(found, strategy, sql):
    assert found(strategy, sql) == []


def test_dbt_filters_only_parents_with_an_event_time(found):
    assert found(MICROBATCH, f"select {WINDOW} as n from {SEED}", event_time=None) == []
