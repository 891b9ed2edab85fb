"""Builds and publishes the flights in one Spark: the command of a fixture, run in the project.

It leaves beside the releases what was said: ``published.json``, of each publishing and of builds
that were refused.
"""

import json
import re
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from martfeast.engines.engine import Rows
from martfeast.engines.spark_warehouse import SparkWarehouse
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import DeclarationError
from martfeast.publishing.publish import publish
from nyc_flights.parity import build_on_spark, read_from_spark
from pyspark.sql import SparkSession


def published() -> list[str]:
    """Publish what Spark has built; return what was said."""
    said: list[str] = []
    try:
        publish(DbtProject(Path(), target="spark"), said.append)
    except DeclarationError as error:
        said.append(str(error))
    return said


def kill_at_the_last_export(self: SparkWarehouse, rows: Rows, path: Path) -> None:
    """Kill Spark's Java as the evidence is read again, after all marts were exported."""
    if path.name.startswith("invocations_now"):
        gateway: Any = self.session.sparkContext._gateway
        gateway.proc.kill()
    export(self, rows, path)


def refused() -> list[str]:
    """Try to build; return why it was refused."""
    result = dbtRunner().invoke(["run", "--target", "spark", "--select", "dim_carriers"])
    return [str(result.exception)]


def noted_facts() -> list[int]:
    """Note the facts of a table twice, as runs of models by ranges do; how many days each noted."""
    parent = "graph.nodes['model.nyc_flights.int_flight_arrivals']"
    inline = (
        f"{{% if execute %}}{{{{ martfeast.insert_fact_batches({parent}, 'day') }}}}{{% endif %}}"
    )
    options = ["--target", "spark", "--target-path", "target/inline"]
    result: Any = dbtRunner().invoke(["compile", *options, "--inline", inline]).result
    sql = result.results[0].node.compiled_code
    # By a run that is recorded, which compiling is not.
    (recorded, *_) = (
        row["invocation_id"] for row in session.table("martfeast.invocations").collect()
    )
    sql = re.sub(r"'[0-9a-f-]{36}' as invocation_id", f"'{recorded}' as invocation_id", sql)
    noted = session.table("martfeast.fact_batches")
    counts = []
    for _ in range(2):
        before = noted.count()
        session.sql(sql)
        session.catalog.refreshTable("martfeast.fact_batches")
        counts.append(noted.count() - before)
    return counts


landed = Path("data/landed/current")
weather = (landed / "weather.parquet").read_bytes()
(landed / "weather.parquet").write_bytes(weather[:1000])
damaged = refused()
(landed / "weather.parquet").write_bytes(weather)
landed.rename("data/landed/hidden")
missing = refused()
Path("data/landed/hidden").rename(landed)

# As an earlier version has left it: with fewer columns.
session = SparkSession.builder.getOrCreate()
session.sql("create schema martfeast")
session.sql("create table martfeast.ranges (invocation_id string, node_id string) using parquet")

build_on_spark()
read_from_spark()
columns = session.table("martfeast.ranges").columns
said = {
    "evidence": columns,
    "facts": noted_facts(),
    "damaged": damaged,
    "missing": missing,
    "first": published(),
    "again": published(),
}
# As if nothing were published yet, and then Spark is killed.
folder = Path("data/spark/published")
folder.rename("data/spark/kept")
export = SparkWarehouse.export
SparkWarehouse.export = kill_at_the_last_export  # type: ignore[method-assign]
said["killed"] = published()
said["left"] = sorted(str(path) for path in folder.rglob("*") if not path.is_dir())
folder.rename("data/spark/killed")
Path("data/spark/kept").rename(folder)
Path("data/spark/published.json").write_text(json.dumps(said))
