"""Builds, publishes and replays a mart of the library in one Spark: the command of a test.

``python replay_library.py`` in a copy of the library, whose profile has a target spark. It leaves
``replayed.json``: of each replay its report, whether it passed, and what was recorded.
"""

import json
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import DeclarationError
from martfeast.published.replays import read_replays
from martfeast.publishing.publish import publish
from martfeast.replay.project import replay_project

MART = "title_availability"
PROJECT = DbtProject(Path(), target="spark")
# The fewest that there are, in the days of that branch and title that are still to come.
LEAK = "cast(min(copies_free) over (partition by branch_code, title_id) as integer) as copies_free"


def build_and_publish() -> None:
    """Build the mart, with its seed and its tests, and publish it."""
    result = dbtRunner().invoke(["build", "--target", "spark", "--select", f"+{MART}"])
    assert result.success, result.exception
    publish(PROJECT, print)


def replayed(engine: str | None, cuts: int | None) -> dict[str, object]:
    """Replay the mart; return what was shown and recorded."""
    shown = replay_project(PROJECT, names=[MART], cut_count=cuts, engine=engine)
    records, _ = read_replays(Path("out/published"))
    record = records.get(f"model.library.{MART}")
    return {
        "has_passed": shown.has_passed,
        "report": shown.report(),
        "record": record and record.model_dump(mode="json"),
    }


def refused(file: str, old: str, new: str) -> str:
    """Change a setting, build and publish; return what was said, and take the change back."""
    settings = Path(file)
    text = settings.read_text()
    assert old in text
    settings.write_text(text.replace(old, new))
    said: list[str] = []

    def hear(event: Any) -> None:
        said.append(str(event.info.msg))

    runner = dbtRunner(callbacks=[hear])
    assert not runner.invoke(["build", "--target", "spark", "--select", MART]).success
    try:
        publish(PROJECT, said.append)
    except DeclarationError as error:
        said.append(str(error))
    settings.write_text(text)
    return " ".join(" ".join(said).split())


build_and_publish()
found: dict[str, object] = {"duckdb": replayed(None, None), "spark": replayed("spark", 4)}
try:
    replayed("snowflake", 4)
except DeclarationError as error:
    found["other"] = str(error)
found["zone"] = refused("profiles.yml", "timeZone: UTC", "timeZone: America/New_York")
found["dispatch"] = refused("dbt_project.yml", "- library\n  - martfeast", "- library")
model = Path(f"models/marts/{MART}.sql")
text = model.read_text()
assert "cast(copies_free as integer) as copies_free" in text
model.write_text(text.replace("cast(copies_free as integer) as copies_free", LEAK))
build_and_publish()
found["leak"] = replayed("spark", 4)
Path("replayed.json").write_text(json.dumps(found))
