"""`martfeast publish` judges and publishes as dbt's hook does, from evidence that it fetched."""

import shutil

import pytest
from conftest import Library

ACTIVITY, TITLES = "member_activity_daily", "title_availability"
# What a release says of a mart that does not depend on who publishes it.
VERDICT = (
    "mart",
    "unique_id",
    "row_count",
    "content_hash",
    "columns",
    "first_known_at",
    "last_known_at",
    "built_by",
    "code_checksum",
    "tests",
    "sources",
    "lineage",
    "held_back",
    "warnings",
    "covered_row_count",
    "restated_row_count",
)


def verdicts(library: Library) -> list[dict[str, object]]:
    return [{key: mart[key] for key in VERDICT} for mart in library.release()["marts"]]


def publish(library: Library) -> str:
    done = library.martfeast("publish", cwd=library.path)
    assert done.returncode == ("held back" in done.stdout), done.stderr
    return done.stdout


def fail_a_test(library: Library) -> None:
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.said("build", succeeds=False)


def build_part(library: Library) -> None:
    library.said("build", "--empty", "--select", f"+{TITLES}")


def restate(library: Library) -> None:
    """Change rows of the past, so that a version differs from the one before."""
    library.replace_in("seeds/shelf_checks.csv", ",0.5,", ",0.75,")
    library.said("build")


@pytest.mark.parametrize("change", [fail_a_test, build_part, restate])
def test_the_verdict_is_that_of_the_hook(library, change):
    change(library)
    hook, release = verdicts(library), library.release()
    assert "nothing new to publish" in publish(library)
    again = library.release()
    assert verdicts(library) == hook
    for key in ("release_number", "target", "target_schema", "engine", "location", "warehouse_id"):
        assert again[key] == release[key], key
    assert ("publish",) in library.query("select command from martfeast.invocations")


def test_versions_in_parts_are_read_everywhere(library):
    """What this publishes is a folder of part files for each version, of the same rows."""
    hook = verdicts(library)
    shutil.rmtree(library.published)
    publish(library)
    assert verdicts(library) == hook
    versions = list((library.published / "marts").glob("*/*.parquet"))
    assert len(versions) == 3
    assert all(version.is_dir() for version in versions)
    for arguments in (["replay"], ["status"]):
        done = library.martfeast(*arguments, cwd=library.path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert library.feast("apply").returncode == 0
    for arguments in (["dataset", "overdue_prediction"], ["materialize"], ["prune"]):
        done = library.martfeast(*arguments, cwd=library.path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all(version.exists() for version in versions)
    # A build on the same rows keeps the versions; one part that is lost is published anew.
    assert "nothing new to publish" in " ".join(library.said("build"))
    (part,) = versions[0].glob("*.parquet")
    part.unlink()
    status = library.martfeast("status", cwd=library.path)
    assert status.returncode == 1
    assert "has 0 bytes" in status.stdout or "without Parquet files" in status.stdout
    assert "1 of 3 marts have a new version" in " ".join(library.said("build"))


def test_an_object_store_is_no_place_to_publish_to_and_a_file_uri_is(library):
    folder = library.path / "by uri"
    library.replace_in(
        "dbt_project.yml", "published_path: out/published", f"published_path: file://{folder}"
    )
    assert "3 of 3 marts have a new version" in " ".join(library.said("build"))
    assert (folder / "current.json").exists()
    status = library.martfeast("status", cwd=library.path)
    assert "No version of it is published" not in status.stdout
    library.replace_in("dbt_project.yml", f"file://{folder}", "s3://bucket/marts")
    said = library.dbt("build").stdout
    assert "published_path s3://bucket/marts is not on a file system" in said
    status = library.martfeast("status", cwd=library.path)
    assert "[not-a-folder]" in status.stderr
    assert "Traceback" not in status.stderr + said
