"""A line of releases belongs to one target and its database; others do not publish over it."""

import shutil

import pytest
from commands import Command

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
CI = "    ci: {type: duckdb, path: ci.duckdb, threads: 2}\n"


def with_ci(library) -> None:
    """Give the profile a second target, of another database, with fewer rows."""
    profiles = library.path / "profiles.yml"
    profiles.write_text(profiles.read_text().rstrip() + "\n" + CI)
    seed = library.path / "seeds/shelf_checks.csv"
    seed.write_text("".join(seed.read_text().splitlines(keepends=True)[:2]))


def assert_held_back(library, *arguments: str) -> str:
    before = library.published_bytes()
    (said,) = library.said("build", *arguments)
    assert said.startswith("held back: every mart: out/published holds what target dev published")
    assert "published_path: {dev: out/published, ...}" in said
    assert library.published_bytes() == before
    return said


def test_another_target_does_not_publish_over_the_first(library):
    with_ci(library)
    said = assert_held_back(library, "--target", "ci")
    assert "(library.duckdb, schema main), and this run is of target ci (ci.duckdb, schema" in said
    # The first target goes on.
    assert library.said("build")[1] == f"published (rows): {TITLES} 1"


@pytest.mark.parametrize(
    ("old", "new", "variable"),
    [
        ("path: library.duckdb", "path: \"{{ env_var('PLACE', 'library.duckdb') }}\"", "PLACE"),
        ("threads: 2", "threads: 2\n      schema: \"{{ env_var('PLACE', 'main') }}\"", "PLACE"),
    ],
    ids=["database", "schema"],
)
def test_a_target_that_means_another_place_is_another_target(
    library, old, new, variable, monkeypatch
):
    library.replace_in("profiles.yml", old, new)
    assert library.said("build")[0].startswith("nothing new to publish")
    monkeypatch.setenv(variable, "elsewhere.duckdb" if "path" in old else "elsewhere")
    assert_held_back(library)


def test_tests_in_one_schema_do_not_vouch_for_rows_in_another(library, monkeypatch):
    library.replace_in(
        "profiles.yml", "threads: 2", "threads: 2\n      schema: \"{{ env_var('PLACE', 'main') }}\""
    )
    shutil.rmtree(library.published)
    monkeypatch.setenv("PLACE", "checked")
    library.dbt("seed")
    library.dbt("run")
    monkeypatch.delenv("PLACE")
    library.dbt("build")
    monkeypatch.setenv("PLACE", "checked")
    shutil.rmtree(library.published)
    said = library.said("test", "--select", f"not_null_{TITLES}_known_at")
    assert said[0].startswith("nothing new to publish")
    assert any(f"{TITLES}: test" in line and "has not run" in line for line in said)


def test_a_database_is_known_wherever_it_is(library, tmp_path):
    """Another path to the same file, and the same path to a file that was built anew."""
    library.replace_in("profiles.yml", "library.duckdb", str(library.path / "library.duckdb"))
    assert library.said("build") == ["nothing new to publish; release 1 in out/published stays"]
    (library.path / "library.duckdb").unlink()
    assert library.said("build") == ["nothing new to publish; release 1 in out/published stays"]


def test_a_line_is_handed_over_by_name(library):
    with_ci(library)
    said = library.said("build", "--target", "ci", "--vars", "martfeast_take_over: true")
    assert said[0] == "release 2 in out/published: 1 of 3 marts have a new version"
    assert library.release()["target"] == "ci"
    before = library.published_bytes()
    (held_back,) = library.said("build")
    assert "holds what target ci published" in held_back
    assert library.published_bytes() == before


def test_each_target_may_have_a_folder_and_one_of_them_feeds_feast(library):
    with_ci(library)
    library.lower("replayed")
    library.replace_in(
        "dbt_project.yml",
        "published_path: out/published",
        "published_path: {dev: out/published, ci: out/ci}",
    )
    assert library.said("build", "--target", "ci")[0].startswith("release 1 in out/ci: 3 of 3")
    before = library.published_bytes()
    # Nothing says which of them is meant.
    refused = library.martfeast("status", cwd=library.path)
    assert refused.returncode == 2
    assert "[target-unknown]" in refused.stderr
    assert "has paths for targets dev, ci" in " ".join(refused.stderr.split())
    assert "vars.martfeast.target" in " ".join(refused.stderr.split())

    library.replace_in("dbt_project.yml", "published_path: {", "target: dev\n    published_path: {")
    assert library.dbt("parse").returncode == 0
    assert "release 1" in library.martfeast("status", cwd=library.path).stdout
    for options in (["--target", "ci"], ["-t", "ci"]):
        one = library.martfeast("status", TITLES, *options, cwd=library.path)
        assert ", 1 rows, known from" in " ".join(one.stdout.split())
    assert library.feast("apply").returncode == 0
    assert str(library.published).encode() in library.registry.read_bytes()
    assert b"out/ci" not in library.registry.read_bytes()
    assert library.published_bytes() == before

    # A target without a folder publishes nothing.
    library.replace_in("profiles.yml", "    ci:", "    qa:")
    said = library.said("build", "--target", "qa")
    assert said == ["nothing was published: published_path has no path for target qa"]


def test_what_is_published_by_another_target_than_asked_for_is_refused(library):
    with_ci(library)
    assert library.dbt("parse").returncode == 0
    refused = library.martfeast("status", "--target", "ci", cwd=library.path)
    assert refused.returncode == 2
    assert "[release-of-another-target]" in refused.stdout
    said = " ".join(refused.stdout.split())
    assert "holds what target dev published, and target ci is meant" in said


def test_replays_take_dbts_options(library, tmp_path):
    """Profile, its folder, target and variables: given to dbt, and to the replay after it."""
    elsewhere = tmp_path / "profiles"
    elsewhere.mkdir()
    library.replace_in("profiles.yml", "library.duckdb", str(library.path / "library.duckdb"))
    text = (library.path / "profiles.yml").read_text().replace("library:", "branch:", 1)
    (elsewhere / "profiles.yml").write_text(text.replace("target: dev", "target: missing"))
    (library.path / "profiles.yml").unlink()
    library.replace_in("models/marts/title_availability.sql", "copies_free as", "{{ var('n') }} as")
    options = ["--profile", "branch", "--profiles-dir", str(elsewhere), "--target", "dev"]
    options += ["--vars", "{n: 7}"]
    built = library.dbt("build", *options)
    assert built.returncode == 0, built.stdout
    replayed = library.martfeast("replay", "--select", TITLES, *options, cwd=library.path)
    assert replayed.returncode == 0, replayed.stderr
    status = library.martfeast("status", TITLES, *options, cwd=library.path)
    assert "replayed: ok" in " ".join(status.stdout.split())
    variables = {"PROFILE": "branch", "PROFILES_DIR": str(elsewhere), "TARGET": "dev"}
    by_environment = Command(
        "martfeast", "replay", "--select", TITLES, *options[-2:],
        cwd=library.path,
        environment=library.environment() | {f"DBT_{n}": v for n, v in variables.items()},
    ).wait()  # fmt: skip
    assert by_environment.returncode == 0, by_environment.stderr
    refused = library.martfeast("replay", *options[:-1], "n", cwd=library.path)
    assert refused.returncode == 2
    assert "[vars-unreadable]" in refused.stderr
