"""Builds batches of the meters in one Spark, with a gap between: the command of a fixture.

``python build_meters.py`` in a copy of the project. It leaves ``said.json``: what was refused, and
why the mart was held back.
"""

import json
import os
from pathlib import Path

from dbt.cli.main import dbtRunner
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.publishing.publish import publish
from pyspark.sql import SparkSession

MART = "levels_hourly"
# By when they were read. Of the first day nothing is left, later.
BEFORE = [("a", "2026-03-01 08:00:00", 1)]
AFTER = [
    ("a", "2026-03-02 09:30:00", 2),
    ("a", "2026-03-02 10:00:00", 4),
    ("b", "2026-03-02 23:59:59", 8),
    ("a", "2026-03-03 12:00:00", 16),
]


def run(*arguments: str) -> str:
    """Run dbt on Spark; return why it failed, if it did."""
    result = dbtRunner().invoke(["--quiet", *arguments, "--target", "spark"])
    return "" if result.success else " ".join(str(result.exception).split())


def build(readings: list[tuple[str, str, int]], day: int) -> None:
    """Build the batch of a day of March, with what it reads, from these readings."""
    rows = ", ".join(f"('{code}', timestamp '{at}', {level})" for code, at, level in readings)
    columns = "meter_code, known_at, level_millimetres"
    sql = f"select {columns} from (values {rows}) as readings ({columns})\n"
    Path("models/raw_readings.sql").write_text(sql)
    days = (f"--event-time-start=2026-03-0{day}", f"--event-time-end=2026-03-0{day + 1}")
    assert run("run", "--select", f"+{MART}", *days) == ""


said: dict[str, object] = {"readings": AFTER}
os.environ["METERS_PARTITION"] = "meter_code"
said["unpartitioned"] = run("run", "--select", MART)
del os.environ["METERS_PARTITION"]
session = SparkSession.builder.getOrCreate()
session.sql("create schema if not exists main")
session.sql(f"create table main.{MART} using parquet as select 1 as x")
said["made_before"] = run("run", "--select", MART)
session.sql(f"drop table main.{MART}")

build(BEFORE, 1)
model = Path(f"models/{MART}.sql")
text = model.read_text()
model.write_text(text.replace("'of': 'level_millimetres'", "'of': '(level_millimetres + 0)'"))
assert model.read_text() != text
build(AFTER, 3)
os.environ["METERS_BATCH"] = "month"
said["other_size"] = run("run", "--select", MART)
del os.environ["METERS_BATCH"]
assert run("parse") == ""
publish(DbtProject(Path(), target="spark"), print)
said["held_back"] = list(session.table("martfeast.verdicts").collect()[-1].reasons)
Path("said.json").write_text(json.dumps(said))
