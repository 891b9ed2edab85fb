"""Marts that Spark built are judged, published and used as DuckDB's are, and are the same."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Json, Run
from martfeast import feast_objects
from martfeast.declaration.project import read_project
from martfeast.from_dbt.dbt_project import DbtProject

SERVICE = "late_arrival_prediction"
FOLDERS = {"dev": "data/published", "spark": "data/spark/published"}
TARGET_PATHS = {"dev": "target", "spark": "target/spark"}


def release(project: Path, target: str) -> Json:
    record: Json = json.loads((project / FOLDERS[target] / "current.json").read_text())
    return record


def said(project: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = json.loads((project / "data/spark/published.json").read_text())
    return found


def test_the_same_marts_are_published_with_the_same_content(built_on_spark: Path) -> None:
    ours, theirs = release(built_on_spark, "dev"), release(built_on_spark, "spark")
    assert (ours["engine"], theirs["engine"]) == ("duckdb", "spark")
    assert (theirs["target"], theirs["target_schema"]) == ("spark", "main")
    assert theirs["location"].endswith("data/spark/warehouse")
    marts = [{mart["mart"]: mart for mart in one["marts"]} for one in (ours, theirs)]
    assert set(marts[0]) == set(marts[1])
    for name, mart in marts[0].items():
        other = marts[1][name]
        assert other["held_back"] == mart["held_back"] == [], name
        for key in ("content_hash", "row_count", "first_known_at", "last_known_at", "warnings"):
            assert other[key] == mart[key], (name, key)
        tests = [{(one["test"], one["status"]) for one in m["tests"]} for m in (mart, other)]
        assert tests[0] == tests[1], name
        assert (built_on_spark / FOLDERS["spark"] / other["path"]).is_dir()


def test_what_is_published_is_not_published_again(built_on_spark: Path) -> None:
    lines = said(built_on_spark)
    assert any("release 1 in data/spark/published: 8 of 8 marts" in one for one in lines["first"])
    assert "nothing new to publish; release 1 in data/spark/published stays" in lines["again"][0]
    versions = list((built_on_spark / FOLDERS["spark"] / "marts").glob("*/*.parquet"))
    assert len(versions) == 8
    assert all(file.suffix == ".parquet" for one in versions for file in one.iterdir())


def test_evidence_of_an_earlier_version_gets_the_columns_it_lacks(built_on_spark: Path) -> None:
    assert said(built_on_spark)["evidence"] == [
        *("invocation_id", "node_id", "relation", "range_start", "range_end", "horizon"),
        "look_back_seconds",
    ]


def test_facts_are_noted_on_spark_and_what_is_the_same_is_not(built_on_spark: Path) -> None:
    first, again = said(built_on_spark)["facts"]
    assert first in (14, 15)  # The last flights of the two weeks arrive on the day after.
    assert again == 0


def test_a_build_on_a_missing_or_damaged_landing_is_refused(built_on_spark: Path) -> None:
    lines = said(built_on_spark)
    assert "weather.parquet has 1000 bytes where the landing wrote" in lines["damaged"][0]
    assert "there is no data/landed/current/landing.json" in lines["missing"][0]
    for (line,) in (lines["damaged"], lines["missing"]):
        assert "Run `make land`" in line
        assert "Traceback" not in line


def test_a_spark_that_is_killed_leaves_the_last_release(built_on_spark: Path) -> None:
    """There was none, and there is none; what was exported is gone too."""
    lines = said(built_on_spark)
    report = lines["killed"][-1]
    assert "[spark-failed]" in report
    assert "Spark does not answer any more: it was killed" in " ".join(report.split())
    assert "Traceback" not in report
    assert lines["left"] == [
        "data/spark/published/pending.json",
        "data/spark/published/publishing.duckdb",
    ]


@pytest.fixture(scope="module")
def applied(built_on_spark: Path, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A copy, in which no Spark can run; the marts of both targets are read as files."""
    project = tmp_path_factory.mktemp("applied") / "project"
    ignored = shutil.ignore_patterns("warehouse", "metastore_db", "read", "spark_settings")
    shutil.copytree(built_on_spark, project, symlinks=True, ignore=ignored)
    # Two engines are compared: that these marts are no leaks is shown elsewhere.
    settings = project / "dbt_project.yml"
    text = settings.read_text()
    assert "    target: dev\n" in text
    lowered = "    target: dev\n    criteria: {replayed: warn}\n"
    settings.write_text(text.replace("    target: dev\n", lowered))
    for target, path in TARGET_PATHS.items():
        run("dbt", "parse", "--target", target, "--target-path", path, cwd=project)
    return project


def build_dataset(project: Path, target: str, run: Run) -> Path:
    """Apply what a target published, without the gate, and build the training set of it."""
    from feast import FeatureStore

    dbt_project = DbtProject(project, TARGET_PATHS[target], target)
    with contextlib.chdir(project):
        objects: list[Any] = [*feast_objects(read_project(dbt_project).declaration).values()]
        shutil.rmtree("feature_repo/data", ignore_errors=True)
        FeatureStore("feature_repo").apply(objects)
    arguments = ["--target", target, "--target-path", TARGET_PATHS[target]]
    run("martfeast", "dataset", SERVICE, *arguments, cwd=project)
    folder = project / FOLDERS[target] / ".." / "datasets" / SERVICE
    (data,) = folder.glob("*/data.parquet")
    return data


def test_training_sets_of_both_have_the_same_bytes(applied: Path, run: Run) -> None:
    ours, theirs = (build_dataset(applied, target, run) for target in FOLDERS)
    assert ours != theirs
    assert ours.stat().st_size > 10_000
    assert ours.read_bytes() == theirs.read_bytes()
