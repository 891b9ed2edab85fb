"""Tests that read new rows, and all of them as often as test_all_rows_every says."""

import json

import pytest
from conftest import Library

TITLES = "title_availability"
SQL, SEED = f"models/marts/{TITLES}.sql", "seeds/shelf_checks.csv"
YAML = "models/marts/_marts__models.yml"
STRATEGY = """{% macro get_incremental_replace_range_sql(arguments) %}
{{ return(martfeast.replace_range_sql(arguments)) }}
{% endmacro %}

{% test fewer_rows_than(model, count) %}
select 1 from {{ model }} having count(*) >= {{ count }}
{% endtest %}

{% test below(model, column_name, bound) %}
{{ config(meta={'martfeast': {'judges': 'each row'}}) }}
select 1 from {{ model }} where {{ column_name }} >= {{ bound }}
{% endtest %}
"""
CONFIG = (
    "{{ config(materialized='incremental', incremental_strategy='replace_range',"
    " on_schema_change='fail') }}\n"
)
# Keys of the mart, and a column whose values are unique without a moment beside them.
TESTS = """    data_tests:
      - unique: {arguments: {column_name: waiting_days}}
      - below: {arguments: {column_name: copies_free, bound: 9}}
      - fewer_rows_than: {arguments: {count: 1000}}
      - martfeast.unique_grain:
          arguments: {columns: [branch_code, title_id, known_at]}
"""
DISPATCH = "\ndispatch: [{macro_namespace: dbt, search_order: [library, martfeast, dbt]}]\n"
OF_ALL_ROWS = "fewer_rows_than"
OF_NEW_ROWS = (
    "unique_title_availability",
    "below",
    "martfeast_unique_grain",
    "not_null_title_availability_branch_code",
    "not_null_title_availability_title_id",
    "not_null_title_availability_known_at",
)
EVERY_TEST = (OF_ALL_ROWS, *OF_NEW_ROWS)


def seed_of(days, **odd):
    """A check of a shelf for each day; odd: other values of a day, by `day_<number>`."""
    lines = ["branch_code,title_id,known_at,copies_free,waiting_days,shelf_mark"]
    for day in days:
        branch, copies, waiting = odd.get(f"day_{day}", ("north", 1, day + 0.5))
        lines.append(f"{branch},10,2026-03-{day:02} 08:00:00,{copies},{waiting},N")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def built_with_new_rows_tested(build_once, parsed_library):
    """Return a project whose mart of twelve days of March is built and tested whole."""

    def build(path):
        library = parsed_library.copy_to(path)
        (path / "macros").mkdir()
        (path / "macros/strategy.sql").write_text(STRATEGY)
        (path / SQL).write_text(
            CONFIG + (path / SQL).read_text() + "where {{ martfeast.in_increment('known_at') }}\n"
        )
        grain = TESTS[TESTS.index("      - martfeast") :]
        library.replace_in(YAML, "    data_tests:\n" + grain, TESTS)
        setting = "    published_path: out/published"
        library.replace_in(
            "dbt_project.yml",
            setting,
            f"{setting}\n    test_all_rows_every: 7 days\n    evidence_schema: proof",
        )
        with (path / "dbt_project.yml").open("a") as file:
            file.write(DISPATCH)
        (path / SEED).write_text(seed_of(range(1, 13)))
        library.said("build")
        assert library.published_mart(TITLES)["held_back"] == []

    return Library(build_once("new_rows_tested", build))


@pytest.fixture
def library(built_with_new_rows_tested, tmp_path):
    return built_with_new_rows_tested.copy_to(tmp_path / "project")


def build(library, days, *arguments, succeeds=True, **odd):
    """Land days, build, and return why the mart was held back."""
    (library.path / SEED).write_text(seed_of(days, **odd))
    library.said("build", "--select", "shelf_checks+", *arguments, succeeds=succeeds)
    return library.published_mart(TITLES)["held_back"]


def read_from(library):
    """From which day on each test of the mart read rows in the newest run; None for all."""
    rows = library.query(
        "select results.node_id, results.tested_from from proof.results"
        " where tested_node_id like '%title_availability' and resource_type = 'test'"
        " and invocation_id = (select max_by(invocation_id, invocation_number)"
        " from proof.invocations)"
    )
    names = {
        name: next(one for one in EVERY_TEST if name.split(".")[2].startswith(one))
        for name, _ in rows
    }
    assert len(set(names.values())) == len(names)
    return {names[name]: moment and moment.day for name, moment in rows}


def eight_days_later(library):
    library.execute("update proof.results set completed_at = completed_at - interval 8 days")


def test_a_test_reads_the_rows_that_were_made_since_it_passed(library):
    assert build(library, range(1, 15)) == []
    assert read_from(library) == {OF_ALL_ROWS: None, **dict.fromkeys(OF_NEW_ROWS, 11)}
    assert library.published_mart(TITLES)["row_count"] == 14
    status = library.martfeast("status", "--json", cwd=library.path)
    (mart,) = (one for one in json.loads(status.stdout)["marts"] if one["mart"] == TITLES)
    assert mart["criteria"]["grain_tested_unique"]["state"] == "pass"
    # Nothing was made since: all rows are read, as after a full refresh.
    library.said("test", "--select", TITLES)
    assert set(read_from(library).values()) == {None}
    assert build(library, range(1, 15), "--full-refresh") == []
    assert set(read_from(library).values()) == {None}


def test_rows_that_failed_stay_in_view_until_they_are_mended(library):
    bad = {"day_14": ("north", 9, 14.5)}
    (reason,) = build(library, range(1, 15), succeeds=False, **bad)
    assert "below_title_availability_9__copies_free failed (1)" in reason
    # Made days later, a range that begins after the bad row: a pass on that would not be one.
    for last in (18, 20):
        (reason,) = build(library, range(1, last), succeeds=False, **bad)
        assert "below_title_availability_9__copies_free failed (1)" in reason
    assert read_from(library)["below"] == 11
    (library.path / SEED).write_text(seed_of(range(1, 20)))
    library.said("seed")
    result = library.martfeast(
        "backfill", TITLES, "--from", "2026-03-14", "--to", "2026-03-15", cwd=library.path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert library.published_mart(TITLES)["held_back"] == []


def test_a_new_row_is_compared_with_the_keys_of_all_rows(library):
    (reason,) = build(library, range(1, 15), succeeds=False, day_14=("north", 1, 1.5))
    assert "unique_title_availability_waiting_days failed (1)" in reason


def test_old_rows_are_read_again_when_the_time_is_up(library):
    assert build(library, range(1, 15)) == []
    library.execute(f"update {TITLES} set branch_code = null where day(known_at) = 1")
    assert build(library, range(1, 16)) == []
    eight_days_later(library)
    # Nothing of it is run, and the time is up all the same.
    library.said("build", "--select", "member_activity_daily")
    reasons = library.published_mart(TITLES)["held_back"]
    assert any("has read a part of the rows, and not all" in one for one in reasons), reasons
    for last in (17, 18):
        reasons = build(library, range(1, last), succeeds=False)
        assert any("not_null_title_availability_branch_code failed (1)" in one for one in reasons)
        assert read_from(library)["not_null_title_availability_branch_code"] is None


def test_a_pass_counts_for_what_it_read(library):
    """A run that makes rows and is cut short of its tests leaves them to the next one."""
    library.said("run", "--select", TITLES)
    assert build(library, range(1, 18), "--exclude", "test_name:below") != []
    assert build(library, range(1, 19)) == []
    assert read_from(library) == {OF_ALL_ROWS: None, **dict.fromkeys(OF_NEW_ROWS, 16), "below": 11}
    # A pass that is gone from the evidence leaves a range that no test has read.
    library.execute(
        "delete from proof.results where tested_from is not null and day(tested_from) = 11"
    )
    library.said("build", "--select", "member_activity_daily")
    reasons = library.published_mart(TITLES)["held_back"]
    assert any("has read a part of the rows, and not all" in one for one in reasons), reasons


def test_without_the_dispatch_of_dbt_all_rows_are_read(library):
    library.replace_in("dbt_project.yml", DISPATCH, "")
    assert build(library, range(1, 15)) == []
    assert set(read_from(library).values()) == {None}
