"""Replays of marts that Spark built: on DuckDB by default, or on Spark itself."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import JAVA_OPTIONS, BuildOnce, Json, Run, copy_library

PROFILE = """
library:
  target: dev
  outputs:
    dev: {type: duckdb, path: library.duckdb}
    spark:
      type: spark
      method: session
      host: NA
      schema: main
      server_side_parameters:
        spark.master: local[2]
        spark.log.level: "OFF"
        spark.ui.enabled: "false"
        spark.driver.defaultJavaOptions: JAVA_OPTIONS
        spark.driver.extraJavaOptions: -Dderby.system.home=spark
        spark.sql.session.timeZone: UTC
        spark.sql.shuffle.partitions: "1"
        spark.sql.warehouse.dir: spark/warehouse
""".replace("JAVA_OPTIONS", JAVA_OPTIONS)
SETTINGS = {
    "dispatch": [{"macro_namespace": "dbt", "search_order": ["library", "martfeast", "dbt"]}],
}


def library_for_spark(folder: Path) -> Path:
    """Copy the library, with a target on Spark and in types that Spark has too."""
    library = copy_library(folder)
    (library.path / "profiles.yml").write_text(PROFILE)
    project = library.path / "dbt_project.yml"
    settings = yaml.safe_load(project.read_text()) | SETTINGS
    for kind in ("models", "seeds"):
        settings[kind]["library"]["+file_format"] = "parquet"
    project.write_text(yaml.safe_dump(settings, sort_keys=False))
    marts = library.path / "models/marts/_marts__models.yml"
    text = marts.read_text().replace("varchar[]", "array<string>").replace("varchar", "string")
    marts.write_text(text)
    return library.path


@pytest.fixture(scope="session")
def replayed(build_once: BuildOnce, run: Run) -> Json:
    """What the replays of a mart showed, before and after a leak was planted in it."""

    def build(folder: Path) -> None:
        library_for_spark(folder)
        run("dbt", "deps", cwd=folder)
        script = Path(__file__).with_name("replay_library.py")
        run("python", str(script), cwd=folder)

    found: Json = json.loads((build_once("library_on_spark", build) / "replayed.json").read_text())
    return found


@pytest.mark.slow
def test_a_mart_of_spark_is_replayed_on_duckdb(replayed: Json) -> None:
    shown = replayed["duckdb"]
    assert shown["has_passed"], shown["report"]
    assert (shown["record"]["built_on"], shown["record"]["replayed_on"]) == ("spark", "duckdb")
    assert shown["record"]["cuts"] >= 3
    assert shown["record"]["compiled"].keys() == {"model.library.title_availability"}


@pytest.mark.slow
def test_or_on_spark_itself_with_the_same_answer(replayed: Json) -> None:
    shown = replayed["spark"]
    assert shown["has_passed"], shown["report"]
    # Fewer moments than the project asks for are no evidence.
    assert shown["record"] == replayed["duckdb"]["record"]
    assert "It is to run on snowflake, and the marts are built on spark." in replayed["other"]


@pytest.mark.slow
def test_a_leak_on_spark_is_found_on_spark(replayed: Json) -> None:
    shown = replayed["leak"]
    assert not shown["has_passed"]
    assert shown["record"]["replayed_on"] == "spark"
    assert "it knew the future, through later facts of shelf_checks" in shown["record"]["failure"]


@pytest.mark.slow
def test_a_run_that_would_give_other_values_stops_before_it_changes_anything(
    replayed: Json,
) -> None:
    assert "The time zone of the Spark session is America/New_York" in replayed["zone"]
    assert "[session-zone]" in replayed["zone"]  # of publishing
    assert "dbt.dateadd is that of dbt-spark, which is wrong of sums" in replayed["dispatch"]
    assert "search_order: [library, martfeast, dbt]" in replayed["dispatch"]
    # Nothing was noted of these runs, so nothing was to be published.
    assert "nothing new to publish; release 1" in replayed["dispatch"]
