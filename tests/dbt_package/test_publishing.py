"""What is published, on which evidence, and what is held back."""

import json
import re
import shutil
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
MARTS_YAML = "models/marts/_marts__models.yml"
# Statements about a mart that has a new version: to measure its rows, and to write them.
PER_WRITTEN = 6


def test_a_first_release(built_library):
    release = built_library.release()
    assert release["release_number"] == 1
    assert json.loads((built_library.published / "releases/000001.json").read_text()) == release
    record = built_library.published_mart(TITLES)
    results = json.loads((built_library.path / "target/run_results.json").read_text())
    assert record["unique_id"] == f"model.library.{TITLES}"
    assert record["built_by"] == results["metadata"]["invocation_id"]
    lineage = {entry["node"]: entry["code_checksum"] for entry in record["lineage"]}
    assert set(lineage) == {f"model.library.{TITLES}", "seed.library.shelf_checks"}
    assert lineage[record["unique_id"]] == record["code_checksum"]
    assert (record["row_count"], record["held_back"], record["warnings"]) == (4, [], [])
    assert record["first_known_at"] == "2026-03-01 08:00:00"
    assert record["last_known_at"] == "2026-03-03 08:00:00"
    assert {column["name"]: column["type"] for column in record["columns"]} == {
        "branch_code": "VARCHAR",
        "title_id": "INTEGER",
        "known_at": "TIMESTAMP",
        "copies_free": "INTEGER",
        "waiting_days": "FLOAT",
        "shelf_mark": "VARCHAR",
    }
    # The tests that vouch for it are all of its own; the seed under it has none.
    assert {test["test"].split(".")[2]: test["status"] for test in record["tests"]} == {
        "not_null_title_availability_branch_code": "pass",
        "not_null_title_availability_known_at": "pass",
        "not_null_title_availability_title_id": "pass",
        f"martfeast_unique_grain_{TITLES}_branch_code__title_id__known_at": "pass",
    }

    table = parquet.read_table(built_library.published / record["path"])
    assert table.schema.names == [column["name"] for column in record["columns"]] + ["published_at"]
    assert table.schema.field("published_at").type == pa.timestamp("us")
    keys = table.select(["known_at", "branch_code", "title_id"]).to_pylist()
    assert [tuple(row.values()) for row in keys] == sorted(tuple(row.values()) for row in keys)
    (published_at,) = set(table.column("published_at").to_pylist())
    assert published_at.replace(microsecond=0) == datetime.fromisoformat(
        record["published_at"]
    ).replace(tzinfo=None)


def test_what_did_not_change_is_not_copied_again(library):
    before, versions = library.published_bytes(), library.versions()
    assert library.said("build") == ["nothing new to publish; release 1 in out/published stays"]
    after = library.published_bytes()
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} == {"current.json"}

    checksums = {mart["mart"]: mart["code_checksum"] for mart in library.release()["marts"]}
    # Other code with the same rows keeps the version, and the new build vouches for it.
    library.replace_in(f"models/marts/{TITLES}.sql", "copies_free as", "copies_free + 0 as")
    library.said("build")
    assert library.versions() == versions
    now = {mart["mart"]: mart["code_checksum"] for mart in library.release()["marts"]}
    assert {name for name in now if now[name] != checksums[name]} == {TITLES}

    # One value, and one mart has a new version; a row more, or a row twice, counts as well.
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    assert library.said("build") == [
        "release 2 in out/published: 1 of 3 marts have a new version",
        "published (rows): title_availability 4",
    ]
    assert {n for n, version in library.versions().items() if version != versions[n]} == {TITLES}
    old = library.published / f"marts/library.{TITLES}/{versions[TITLES]}.parquet"
    assert old.read_bytes() == before[str(old.relative_to(library.published))]


def hook_statements(library, *arguments: str) -> list[str]:
    """What dbt's hooks send to DuckDB in one run."""
    log = library.path / "logs/dbt.log"
    log.unlink()
    library.said(*arguments)
    return re.findall(r"On master: (/\*.*?)\n\S*[\d:.]+ \[debug\]", log.read_text(), re.DOTALL)


def test_hooks_ask_of_many_marts_at_once(library):
    """How many statements they send depends on the marts that a run builds, and on no others."""
    one_mart = ["build", "--select", TITLES]
    few = len(hook_statements(library, *one_mart))
    yaml = (library.path / MARTS_YAML).read_text()
    entry = yaml.split(f"  - name: {TITLES}\n")[1].split("  - name: loan_labels\n")[0]
    sql = (library.path / f"models/marts/{TITLES}.sql").read_text()
    copies = [f"copy_{number}" for number in range(6)]
    entries = [f"  - name: {name}\n{entry.rstrip()}\n\n" for name in copies]
    for name in copies:
        (library.path / f"models/marts/{name}.sql").write_text(sql)
    (library.path / MARTS_YAML).write_text(
        yaml.replace("models:\n", f"models:\n{''.join(entries)}", 1)
    )
    written = hook_statements(library, "build", "--select", *copies)
    assert set(copies) < set(library.versions())
    assert len(written) - few <= PER_WRITTEN * len(copies)
    assert len(hook_statements(library, *one_mart)) == few


def test_a_failed_test_holds_back_what_it_is_about_and_nothing_else(library):
    versions = library.versions()
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    assert library.said("build", succeeds=False) == [
        "release 2 in out/published: 1 of 3 marts have a new version",
        "published (rows): title_availability 4",
        f"held back: {ACTIVITY}: test overdue_share_is_a_share failed (1);"
        f" version {versions[ACTIVITY]} stays",
    ]
    now = library.versions()
    assert (now[ACTIVITY], now[LABELS]) == (versions[ACTIVITY], versions[LABELS])
    assert now[TITLES] != versions[TITLES]
    # What is held back keeps the evidence of its published version.
    record = library.published_mart(ACTIVITY)
    assert {test["status"] for test in record["tests"]} == {"pass"}


def test_a_moment_that_feast_cannot_hold_holds_its_mart_back(library):
    """In the timestamp or in a feature; what is no feature may have an open end."""
    versions = library.versions()
    activity, titles, labels = (f"models/marts/{one}.sql" for one in (ACTIVITY, TITLES, LABELS))
    library.replace_in(activity, "    last_visit_at", "    'infinity'::timestamp as last_visit_at")
    library.replace_in(titles, "    known_at,", "    known_at + interval 100000 year as known_at,")
    library.replace_in(
        labels,
        "loan_returns.returned_at as label_known_at",
        "coalesce(loan_returns.returned_at, '9999-12-31') as label_known_at",
    )
    said = library.said("build")
    only = "Feast holds moments from 1677-09-22 to 2262-04-11 only: correct it, or make it null"
    assert f"held back: {ACTIVITY}: column last_visit_at has infinity, and {only}" in said[2]
    assert f"held back: {TITLES}: column known_at has 102026-03-01 08:00:00, and {only}" in said[3]
    now = library.versions()
    assert {name for name in now if now[name] != versions[name]} == {LABELS}
    # The tests have passed on these rows, and that alone does not publish them either.
    library.said("test")
    assert library.versions() == now


def test_run_alone_publishes_nothing_and_the_tests_after_it_do(library):
    versions = library.versions()
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    library.dbt("seed")
    said = library.said("run")
    assert said[0] == "nothing new to publish; release 1 in out/published stays"
    assert len([line for line in said if "has not run since" in line]) == 3
    assert library.versions() == versions
    # A test that ran before the rebuild was green, and is no evidence for it.
    assert library.said("test", "--select", f"not_null_{TITLES}_known_at")[0].startswith("nothing")
    assert library.versions() == versions
    assert library.said("test")[1] == "published (rows): title_availability 4"


def test_an_ancestor_that_is_rebuilt_alone_holds_its_marts_back(library):
    versions = library.versions()
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    assert library.said("seed", "--select", "shelf_checks") == [
        "nothing new to publish; release 1 in out/published stays",
        f"held back: {TITLES}: {TITLES} was built before its ancestor shelf_checks was rebuilt;"
        f" version {versions[TITLES]} stays",
    ]


def test_a_failed_test_on_an_ancestor_holds_back_what_is_built_on_it(library):
    (library.path / "seeds/_seeds.yml").write_text(
        "seeds:\n  - name: shelf_checks\n    columns:\n      - name: waiting_days\n"
        "        data_tests: [not_null]\n"
    )
    said = library.said("build", succeeds=False)
    # dbt itself skips the model then: the failed test comes first all the same.
    assert f"held back: {TITLES}: test not_null_shelf_checks_waiting_days failed (1)" in said[1]
    assert "and 5 more" in said[1]


def test_a_mart_is_held_back_while_its_code_is_not_what_was_built(library):
    library.replace_in(f"models/marts/{TITLES}.sql", "copies_free as", "copies_free + 1 as")
    assert f"{TITLES} has changed since it was built" in library.said("test")[1]
    assert library.said("build", "--select", TITLES)[1] == "published (rows): title_availability 4"


def test_a_model_that_errors_and_a_retry_that_mends_it(library):
    versions = library.versions()
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    library.replace_in(f"models/marts/{TITLES}.sql", "copies_free as", "no_such as")
    assert f"{TITLES} failed to build" in library.said("build", succeeds=False)[1]
    assert library.versions() == versions
    library.replace_in(f"models/marts/{TITLES}.sql", "no_such as", "copies_free as")
    assert library.said("retry")[1] == "published (rows): title_availability 4"


@pytest.mark.parametrize("part", [["--empty"], ["--sample", "1 day"]])
def test_part_of_the_data_is_not_published(library, part):
    versions = library.versions()
    said = library.said("build", *part)
    assert said[0] == "nothing new to publish; release 1 in out/published stays"
    assert all("was built with --empty, --sample, --defer or a window" in line for line in said[1:])
    assert len(said) == 4
    # Tests on part of the data change nothing about it; audits of no rows fail.
    assert len(library.said("test", succeeds=False)) == 4
    assert library.versions() == versions


def test_a_warning_is_published_and_recorded(library):
    (library.path / "tests/no_west.sql").write_text(
        "{{ config(severity='warn') }}\n"
        f"select * from {{{{ ref('{TITLES}') }}}} where branch_code = 'west'"
    )
    library.replace_in("seeds/shelf_checks.csv", "south,10,", "west,10,")
    assert library.said("build") == [
        "release 2 in out/published: 1 of 3 marts have a new version",
        "published (rows): title_availability 4",
        f"with a warning: {TITLES}: test no_west warned (1)",
    ]
    assert library.published_mart(TITLES)["warnings"] == ["test no_west warned (1)"]


def test_a_failed_unit_test_holds_its_mart_back(library):
    (library.path / "models/unit_tests.yml").write_text(
        "unit_tests:\n  - name: one_row\n    model: title_availability\n    given:\n"
        "      - {input: ref('shelf_checks'), rows: [{copies_free: 1}]}\n"
        "    expect: {rows: [{copies_free: 2}]}\n"
    )
    said = library.said("build", succeeds=False)
    assert f"held back: {TITLES}: unit test one_row: fail" in said[1]
    library.replace_in("models/unit_tests.yml", "copies_free: 2", "copies_free: 1")
    library.said("build")
    assert library.published_mart(TITLES)["tests"][-1]["test"].endswith("one_row")


def test_tests_on_another_load_of_a_source_are_no_evidence(library):
    """A source that is loaded anew between build and test: the tests saw other rows."""
    (library.path / "models/sources.yml").write_text(
        "sources:\n  - name: shelves\n    schema: main\n    tables:\n"
        "      - name: checks\n        config: {loaded_at_field: known_at}\n"
        "        data_tests: []\n        columns:\n          - name: title_id\n"
        "            data_tests: [not_null]\n"
    )
    library.execute("create table checks as from shelf_checks")
    library.replace_in(
        f"models/marts/{TITLES}.sql", "ref('shelf_checks')", "source('shelves', 'checks')"
    )
    library.said("run")
    library.execute("update checks set known_at = known_at + interval 1 day")
    said = library.said("test")
    assert said[1].startswith(f"held back: {TITLES}: test martfeast_unique_grain_{TITLES}_")
    assert "ran on another load of source checks and 4 more" in said[1]
    library.said("build")
    record = library.published_mart(TITLES)
    assert record["sources"] == [
        {"source": "source.library.shelves.checks", "loaded_at": "2026-03-04 08:00:00"}
    ]


def test_a_model_that_is_no_mart_any_more_leaves_the_release(library):
    text = (library.path / "models/exposures.yml").read_text()
    (library.path / "models/exposures.yml").write_text(text.replace("- ref('loan_labels')", ""))
    yaml = (library.path / MARTS_YAML).read_text()
    (library.path / MARTS_YAML).write_text(yaml[: yaml.index("  - name: loan_labels")])
    (library.path / "models/marts/loan_labels.sql").unlink()
    library.replace_in("models/exposures.yml", "label: {mart: loan_labels}", "")
    files = set(library.published_bytes())
    library.said("build")
    assert sorted(library.versions()) == [ACTIVITY, TITLES]
    assert files < set(library.published_bytes())  # the version itself stays until it is pruned


def test_evidence_outlives_target_and_is_there_for_analysts(library):
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.dbt("build")
    library.dbt("clean")
    library.replace_in("seeds/member_days.csv", ",1.75,", ",0.75,")
    library.dbt("build")
    library.dbt("test", "--select", "overdue_share_is_a_share")
    history = library.query(
        "select status, failure_count from main_martfeast.test_history"
        " where test_name = 'overdue_share_is_a_share' order by invocation_number"
    )
    assert history == [("pass", 0), ("fail", 1), ("pass", 0), ("pass", 0)]
    (rate,) = library.query(
        "select owner, test_run_count, passed_count, failed_count, pass_share"
        f" from main_martfeast.mart_pass_rates where mart = '{ACTIVITY}'"
    )
    # 4 tests on the mart, 3 builds, and one test once more.
    assert rate == ("lending@library.example", 13, 12, 1, pytest.approx(12 / 13))
    (recovery,) = library.query(
        "select test_name, tested_name, failing_invocation_count, most_failures,"
        " minutes_to_recover > 0 and recovered_at > failing_from_at"
        " from main_martfeast.test_recoveries"
    )
    assert recovery == ("overdue_share_is_a_share", ACTIVITY, 1, 1, True)
    assert library.query(
        "select mart, is_publishable, held_back_reasons, row_count, release_number"
        " from main_martfeast.mart_readiness order by mart"
    ) == [(name, True, "", 4, 1) for name in (LABELS, ACTIVITY, TITLES)]
    durations = library.query(
        "select build_count, mean_seconds > 0 and longest_seconds >= mean_seconds"
        f" from main_martfeast.model_durations where name = '{ACTIVITY}'"
    )
    assert durations == [(3, True)]


def test_every_kind_of_result_is_recorded(library):
    library.dbt("build")
    kinds = library.query(
        "select distinct resource_type from martfeast.results order by resource_type"
    )
    assert {"model", "seed", "test"} <= {kind for (kind,) in kinds}
    rows = library.query(
        "select command, target_name, dbt_version, completions.completed_at >= started_at"
        " from martfeast.invocations left join martfeast.completions using (invocation_id)"
        " order by invocation_number"
    )
    assert [row[:2] for row in rows] == [("build", "dev")] * 2
    assert all(row[3] for row in rows)
    incomplete = library.query(
        "select count(*) from martfeast.results where resource_type in ('model', 'test')"
        " and (status is null or started_at is null or execution_seconds is null)"
    )
    assert incomplete == [(0,)]


# Ways around the evidence


DUPLICATE = "1,2026-03-01 00:00:00,2,0.5,true,crime,2026-02-28 10:00:00\n"


def add_duplicate(library):
    path = library.path / "seeds/member_days.csv"
    path.write_text(path.read_text() + DUPLICATE)


def test_tests_on_no_rows_or_other_rows_are_no_evidence(library):
    versions = library.versions()
    add_duplicate(library)
    library.dbt("seed")
    library.dbt("run")
    said = library.said("build", "--empty", "--resource-type", "test")
    assert "has not run since" in said[2]
    assert library.versions() == versions


def test_another_environments_rows_are_no_evidence(library):
    """With --defer a test may read what another environment built."""
    state = library.path / "state"
    state.mkdir()
    (state / "manifest.json").write_bytes((library.path / "target/manifest.json").read_bytes())
    versions = library.versions()
    add_duplicate(library)
    library.dbt("seed")
    library.dbt("run")
    # Clean rows, as the other environment has them, for as long as the tests run.
    library.execute(f"create or replace table {ACTIVITY} as select distinct * from {ACTIVITY}")
    library.dbt("test", "--defer", "--favor-state", "--state", "state")
    assert library.versions() == versions
    recorded = library.query(
        "select is_partial from martfeast.invocations order by invocation_number"
    )
    assert recorded == [(False,), (False,), (False,), (True,)]


def test_a_mart_never_gets_the_rows_of_another_one(library):
    """Two marts may have one alias, in two schemas: their versions are kept apart."""
    yaml = (library.path / MARTS_YAML).read_text()
    block = yaml[yaml.index("  - name: title") : yaml.index("  - name: loan_labels")]
    other = block.replace("name: title_availability", "name: other_titles")
    (library.path / "models/marts/_other.yml").write_text(f"models:\n{other}")
    (library.path / "models/marts/other_titles.sql").write_text(
        "{{ config(alias='title_availability', schema='other') }}\n"
        + (library.path / f"models/marts/{TITLES}.sql").read_text()
        + "\nwhere branch_code = 'south'"
    )
    library.said("build")
    marts = {mart["unique_id"]: mart for mart in library.release()["marts"]}
    rows = {}
    for model in (TITLES, "other_titles"):
        record = marts[f"model.library.{model}"]
        rows[model] = parquet.read_metadata(library.published / record["path"]).num_rows
        assert rows[model] == record["row_count"]
    assert rows == {TITLES: 4, "other_titles": 1}


def test_a_test_on_an_ephemeral_model_is_about_the_rows_under_it(library):
    (library.path / "models/days.sql").write_text(
        "{{ config(materialized='ephemeral') }} select * from {{ ref('member_days') }}"
    )
    (library.path / "models/days.yml").write_text(
        "models:\n  - name: days\n    columns:\n      - name: loan_count_30d\n"
        "        data_tests: [not_null]\n"
    )
    library.replace_in(f"models/marts/{ACTIVITY}.sql", "ref('member_days')", "ref('days')")
    library.said("build")
    versions = library.versions()
    path = library.path / "seeds/member_days.csv"
    path.write_text(path.read_text() + "7,2026-03-01 00:00:00,,0.5,true,crime,\n")
    said = library.said("build", "--exclude", "not_null_days_loan_count_30d")
    assert "not_null_days_loan_count_30d has not run since" in said[1]
    assert library.versions() == versions
    # Its code is part of what is built on it.
    path.write_text(path.read_text().replace("7,2026-03-01 00:00:00,,", "7,2026-03-01 00:00:00,1,"))
    library.said("build")
    library.replace_in("models/days.sql", "select *", "select distinct *")
    assert f"{ACTIVITY} has changed since it was built" in library.said("test")[1]


def test_a_mart_that_is_a_view_is_published_with_the_rows_it_has(library):
    sql = f"models/marts/{ACTIVITY}.sql"
    text = (library.path / sql).read_text()
    (library.path / sql).write_text("{{ config(materialized='view') }}\n" + text)
    library.replace_in(MARTS_YAML, "contract: {enforced: true}", "contract: {enforced: false}")
    library.said("build")
    versions = library.versions()
    library.replace_in("seeds/member_days.csv", "9,0.75", "99,0.75")
    library.dbt("seed", "--select", "member_days")
    assert library.versions() == versions
    assert library.said("test")[1] == f"published (rows): {ACTIVITY} 4"
    rows = parquet.read_table(library.published / library.published_mart(ACTIVITY)["path"])
    assert 99 in rows["loan_count_30d"].to_pylist()


def test_an_incremental_mart_that_began_with_a_part_is_held_back_until_it_is_whole(library):
    sql = f"models/marts/{ACTIVITY}.sql"
    text = (library.path / sql).read_text()
    (library.path / sql).write_text(
        "{{ config(materialized='incremental', on_schema_change='fail') }}\n"
        + text
        + "\n{% if is_incremental() %} where known_at >"
        " (select max(known_at) from {{ this }}) {% endif %}"
    )
    library.dbt("run", "--full-refresh", "--empty", "--select", ACTIVITY)
    said = library.said("build")
    assert f"{ACTIVITY} was built with --empty, --sample, --defer or a window" in said[1]
    assert library.said("build", "--full-refresh")[0].startswith(("release 2", "nothing new"))
    assert library.published_mart(ACTIVITY)["held_back"] == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tests/overdue_share_is_a_share.sql", "> 1", "> 0.5"),
        ("macros/share_limit.sql", "1.0", "0.5"),
    ],
)
def test_a_test_or_macro_that_changed_has_not_passed(library, file, old, new):
    (library.path / "macros").mkdir()
    (library.path / "macros/share_limit.sql").write_text(
        "{% macro share_limit() %}1.0{% endmacro %}"
    )
    library.replace_in("tests/overdue_share_is_a_share.sql", "> 1", "> {{ share_limit() }}")
    assert library.said("build")[0].startswith("nothing new")
    library.replace_in(file, old.replace("> 1", "> {{ share_limit() }}"), new)
    library.dbt("parse")
    status = library.martfeast("status", cwd=library.path)
    assert "has not passed overdue_share_is_a_share" in status.stdout
    said = library.said("test", "--select", f"not_null_{TITLES}_known_at")
    assert "test overdue_share_is_a_share has changed since it ran" in said[1]


def test_a_source_that_is_not_there_holds_back_only_what_needs_it(library):
    (library.path / "models/sources.yml").write_text(
        "sources:\n  - name: shelves\n    schema: main\n    tables:\n"
        "      - name: checks\n        config: {loaded_at_field: known_at}\n"
    )
    library.replace_in(
        f"models/marts/{TITLES}.sql", "ref('shelf_checks')", "source('shelves', 'checks')"
    )
    library.replace_in("seeds/member_days.csv", ",0.75,", ",0.8,")
    said = library.said("build", succeeds=False)
    assert said[1] == f"published (rows): {ACTIVITY} 4"
    assert f"held back: {TITLES}: {TITLES} failed to build" in said[2]


def test_freshness_is_that_of_the_load_that_the_rows_came_from(library):
    """A later load that only the mart's build saw, and not its ancestor's, makes nothing fresh."""
    (library.path / "models/sources.yml").write_text(
        "sources:\n  - name: shelves\n    schema: main\n    tables:\n"
        "      - name: checks\n        config: {loaded_at_field: known_at}\n"
    )
    library.execute("create table checks as from shelf_checks")
    (library.path / "models/staged.sql").write_text(
        "select * from {{ source('shelves', 'checks') }}"
    )
    library.replace_in(f"models/marts/{TITLES}.sql", "ref('shelf_checks')", "ref('staged')")
    library.said("build")
    library.execute("update checks set known_at = known_at + interval 1 day")
    library.dbt("run", "--select", TITLES)
    library.dbt("test")
    (load,) = library.published_mart(TITLES)["sources"]
    assert load["loaded_at"] == "2026-03-03 08:00:00"


def test_a_project_whose_last_mart_goes_keeps_a_readable_release(library):
    yaml = library.path / MARTS_YAML
    audits = r" {8}data_tests:\n {10}- martfeast.label_coverage.*?maximum: 1}\n"
    text = re.sub(audits, "", yaml.read_text(), flags=re.DOTALL)
    yaml.write_text(text.replace("feast:", "was_feast:"))
    (library.path / "models/exposures.yml").unlink()
    assert library.said("build") == ["nothing was published: no model has meta.feast"]
    assert library.release()["marts"] == []
    assert library.martfeast("prune", cwd=library.path).returncode == 0


def test_a_folder_with_odd_characters(library):
    library.replace_in("dbt_project.yml", "out/published", "out [1]/it's/")
    library.said("build")
    assert library.said("build")[0] == "nothing new to publish; release 1 in out [1]/it's stays"
    replayed = library.martfeast("replay", "--at", "2026-03-02T12:00:00", cwd=library.path)
    assert replayed.returncode == 0, replayed.stderr
    shutil.copy(library.published / "replays.json", library.path / "out [1]/it's/replays.json")
    assert library.martfeast("status", cwd=library.path).returncode == 0


def test_dbt_may_be_run_from_anywhere(library, tmp_path):
    library.replace_in("profiles.yml", "library.duckdb", str(library.path / "library.duckdb"))
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folders = ["--project-dir", str(library.path), "--profiles-dir", str(library.path)]
    result = library.run("dbt", "build", *folders, cwd=elsewhere)
    assert result.returncode == 0, result.stdout
    assert library.release()["release_number"] == 2
