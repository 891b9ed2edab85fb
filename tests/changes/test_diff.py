"""`martfeast diff`: what a change of a project does to features, models, replays and rows."""

import json
import shutil
import subprocess

import pytest
from conftest import Library

ACTIVITY, TITLES = "member_activity_daily", "title_availability"
SQL = f"models/marts/{ACTIVITY}.sql"
YAML = "models/marts/_marts__models.yml"


def git(library: Library, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@library.example"]
    subprocess.run(["git", *who, *arguments], cwd=library.path, check=True, capture_output=True)


def diff(library: Library, *arguments: str, base: str = "HEAD"):
    library.said("parse")
    return library.martfeast("diff", "--base", base, *arguments, cwd=library.path)


def differing(library: Library, *arguments: str, exits: int = 0):
    done = diff(library, "--json", *arguments)
    assert done.returncode == exits, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["breaks"] == bool(exits)
    return said, {(one["mart"], one["name"]): one["kind"] for one in said["columns"]}


@pytest.fixture
def versioned(library: Library) -> Library:
    """The library, built and published, with all that is not ignored in git."""
    (library.path / ".gitignore").write_text("*.duckdb\ndbt_packages/\ntarget/\nout/\nlogs/\n")
    git(library, "init", "--quiet")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "base")
    return library


@pytest.mark.slow
def test_what_is_the_same_is_said_to_be(versioned):
    versioned.replace_in(SQL, "select", "-- the same in other words\nselect")
    versioned.replace_in(SQL, "    known_at,", "    (known_at) as known_at,")
    done = diff(versioned)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<!-- martfeast diff -->\n")
    assert "No feature or label differs by itself" in done.stdout
    assert f"martfeast replay --select {ACTIVITY}" in done.stdout, "its code is another"
    git(versioned, "checkout", "--quiet", ".")
    assert "Nothing that is a feature" in diff(versioned).stdout


@pytest.mark.slow
def test_one_feature_is_redefined_and_no_other(versioned):
    versioned.replace_in(
        SQL, "    overdue_share_30d,", "    overdue_share_30d / 2 as overdue_share_30d,"
    )
    said, kinds = differing(versioned)
    assert kinds == {(ACTIVITY, "overdue_share_30d"): "redefined"}
    [exposure] = said["exposures"]
    assert (exposure["exposure"], exposure["kind"]) == ("overdue_prediction", "retrain")
    assert said["stale_replays"] == [ACTIVITY]
    assert said["marts"] == []

    versioned.replace_in(
        SQL, "from {{ ref('member_days') }}", "from {{ ref('member_days') }} where member_id > 0"
    )
    said, kinds = differing(versioned)
    assert kinds == {(ACTIVITY, "overdue_share_30d"): "redefined"}, "a filter is of the rows"
    assert [one["mart"] for one in said["marts"]] == [ACTIVITY]


@pytest.mark.slow
def test_seeds_with_other_rows_redefine_what_is_made_of_them(versioned):
    versioned.replace_in("seeds/member_days.csv", "0.5", "0.25")
    _, kinds = differing(versioned)
    assert (ACTIVITY, "overdue_share_30d") in kinds
    assert all(mart == ACTIVITY for mart, _ in kinds)


@pytest.mark.slow
def test_features_that_are_retyped_break(versioned):
    versioned.replace_in(SQL, "cast(loan_count_30d as bigint)", "cast(loan_count_30d as double)")
    declared = "- name: loan_count_30d\n        data_type: {}"
    versioned.replace_in(YAML, declared.format("BIGINT"), declared.format("double"))
    said, kinds = differing(versioned, exits=1)
    assert kinds[ACTIVITY, "loan_count_30d"] == "retyped"
    [exposure] = said["exposures"]
    assert exposure["kind"] == "incompatible"
    assert "loan_count_30d" in " ".join(exposure["why"])


@pytest.mark.slow
def test_what_cannot_be_traced_is_not_called_unaffected(versioned):
    versioned.replace_in(SQL, "select", "select distinct columns(*) from (select")
    with (versioned.path / SQL).open("a") as file:
        file.write(")\n")
    said, kinds = differing(versioned)
    assert set(kinds.values()) == {"unknown"}
    assert "COLUMNS" in said["columns"][0]["why"]


@pytest.mark.slow
def test_rows_are_compared_by_key_where_both_builds_are_there(versioned):
    before = versioned.path.parent / "before"
    shutil.copytree(versioned.published, before)
    seed = versioned.path / "seeds/member_days.csv"
    head, first, *others = seed.read_text().splitlines()
    key, rest = first.split(",", 1)
    added = f"77,{rest}"
    changed = ",".join([key, *rest.split(",")[:1], "9", *rest.split(",")[2:]])
    seed.write_text("\n".join([head, changed, *others[:-1], added]) + "\n")
    versioned.said("build")
    page = versioned.path / "changes.html"
    done = diff(versioned, "--base-published", str(before), "--output", str(page), "--json")
    assert done.returncode == 0, done.stderr
    [rows] = [one for one in json.loads(done.stdout)["rows"] if one["mart"] == ACTIVITY]
    assert (rows["new"], rows["gone"], rows["kept"]) == (1, 1, len(others))
    assert rows["changed"] == {"loan_count_30d": 1}
    html = page.read_text()
    assert f"<td>{ACTIVITY}</td>" in html and "<script" not in html


@pytest.mark.slow
def test_a_folder_of_artifacts_is_a_base_too(versioned):
    target = versioned.path.parent / "base"
    versioned.said("compile", "--full-refresh", "--target-path", str(target))
    versioned.replace_in(SQL, "    is_student,", "    not is_student as is_student,")
    done = diff(versioned, "--json", base=str(target))
    kinds = {one["name"]: one["kind"] for one in json.loads(done.stdout)["columns"]}
    assert kinds == {"is_student": "redefined"}


def test_a_base_that_is_nothing_is_refused(versioned):
    done = diff(versioned, base="no-such-branch")
    assert done.returncode == 2
    assert "no folder with a manifest.json, and no git ref" in done.stderr
    assert "Traceback" not in done.stderr
