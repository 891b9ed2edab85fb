"""Evidence is for what ran: these relations, this SQL, these variables, and no others."""

import pytest

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
MODEL = f"models/marts/{ACTIVITY}.sql"
TEST = "tests/overdue_share_is_a_share.sql"


def held_back(said: list[str], mart: str) -> str:
    return next((line for line in said if line.startswith(f"held back: {mart}: ")), "")


def status(library, *arguments: str) -> str:
    done = library.martfeast("status", ACTIVITY, *arguments, cwd=library.path)
    return " ".join((done.stdout + done.stderr).split())


def test_sql_that_an_environment_changes_is_not_what_was_replayed(library, monkeypatch):
    library.replace_in(
        MODEL,
        "loan_count_30d as bigint)",
        "loan_count_30d + {{ env_var('BONUS', '0') }} as bigint)",
    )
    library.lower("history_unchanged")
    library.said("build")
    library.replay()
    assert "replayed: ok" in status(library)
    monkeypatch.setenv("BONUS", "5000")
    library.said("build")
    assert f"{ACTIVITY} ran other SQL when version" in status(library)
    monkeypatch.delenv("BONUS")
    library.said("build")
    assert "replayed: ok" in status(library)


def test_a_failure_is_not_cleared_by_other_values(library, monkeypatch):
    """Of the environment, or of --vars; a pass with other --vars is no pass for the gate."""
    library.replace_in(TEST, "> 1", "> {{ env_var('LIMIT', var('bound', 1)) }}")
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    versions = library.versions()
    assert "failed (1)" in held_back(library.said("build", succeeds=False), ACTIVITY)
    failed = "overdue_share_is_a_share failed, and passed only with other variables or another"
    assert failed in held_back(library.said("test", "--vars", "bound: 5000"), ACTIVITY)
    monkeypatch.setenv("LIMIT", "5000")
    assert failed in held_back(library.said("test"), ACTIVITY)
    monkeypatch.delenv("LIMIT")
    assert library.versions() == versions

    assert not held_back(library.said("build", "--vars", "bound: 5000"), ACTIVITY)
    assert "other variables than the project has: bound was 5000 and is not set" in status(library)
    assert "other variables" not in status(library, "--vars", "bound: 5000")


def test_rows_in_one_schema_are_not_vouched_for_by_tests_in_another(library, monkeypatch):
    library.replace_in(
        MODEL,
        "overdue_share_30d,",
        "overdue_share_30d + {{ env_var('BONUS', '0') }} as overdue_share_30d,",
    )
    library.replace_in(
        "dbt_project.yml",
        "models:\n  library:\n",
        "models:\n  library:\n    +schema: \"{{ env_var('PLACE', 'good') }}\"\n",
    )
    library.said("build")
    versions = library.versions()
    monkeypatch.setenv("PLACE", "bad")
    monkeypatch.setenv("BONUS", "7")
    assert "has not run" in held_back(library.said("run"), ACTIVITY)
    monkeypatch.delenv("PLACE")
    monkeypatch.delenv("BONUS")
    library.said("test")
    monkeypatch.setenv("PLACE", "bad")
    assert "has not run" in held_back(library.said("run", "--select", "loans"), ACTIVITY)
    assert library.versions() == versions


@pytest.mark.parametrize("schema", ["main", "other"])
def test_a_target_that_builds_over_the_relations_of_another(library, schema):
    """Its rows are in the way if the tables are the same, and nobody's business if they are not."""
    target = f"    ci: {{type: duckdb, path: library.duckdb, schema: {schema}, threads: 2}}\n"
    profiles = library.path / "profiles.yml"
    profiles.write_text(profiles.read_text().rstrip() + "\n" + target)
    versions = library.versions()
    library.said("build", "--target", "ci")
    said = held_back(library.said("test"), ACTIVITY)
    assert (said == "") == (schema == "other")
    assert ("was last built by target ci" in said) == (schema == "main")
    assert library.versions() == versions
