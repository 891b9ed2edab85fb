"""What is published, on which evidence, and what is held back."""

import json
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
MARTS_YAML = "models/marts/_marts__models.yml"


def test_a_first_release(built_library):
    release = built_library.release()
    assert release["release_number"] == 1
    assert json.loads((built_library.published / "releases/000001.json").read_text()) == release
    record = built_library.published_mart(TITLES)
    results = json.loads((built_library.path / "target/run_results.json").read_text())
    manifest = json.loads((built_library.path / "target/manifest.json").read_text())
    assert record["unique_id"] == f"model.library.{TITLES}"
    assert record["built_by"] == results["metadata"]["invocation_id"]
    assert (
        record["code_checksum"] == (manifest["nodes"][record["unique_id"]]["checksum"]["checksum"])
    )
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

    # Other code with the same rows keeps the version, and the new build vouches for it.
    library.replace_in(f"models/marts/{TITLES}.sql", "copies_free as", "copies_free + 0 as")
    library.said("build")
    assert library.versions() == versions
    record = library.published_mart(TITLES)
    manifest = json.loads((library.path / "target/manifest.json").read_text())
    assert record["code_checksum"] == manifest["nodes"][record["unique_id"]]["checksum"]["checksum"]

    # One value, and one mart has a new version; a row more, or a row twice, counts as well.
    library.replace_in("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    assert library.said("build") == [
        "release 2 in out/published: 1 of 3 marts have a new version",
        "published (rows): title_availability 4",
    ]
    assert {n for n, version in library.versions().items() if version != versions[n]} == {TITLES}
    old = library.published / f"marts/{TITLES}/{versions[TITLES]}.parquet"
    assert old.read_bytes() == before[str(old.relative_to(library.published))]


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
    assert all("was last built with --empty or --sample, so only in part" in s for s in said[1:])
    assert len(said) == 4
    # Tests that pass on part of the data change nothing about it.
    assert library.said("test")[1:] == said[1:]
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
