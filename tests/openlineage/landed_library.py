"""A library whose loans are landed as a file, from there to a trained model, with all events."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from conftest import BIN, Library, copy_library

Json = dict[str, Any]
EVENTS = "events.jsonl"
LANDED = "landed/member_days.parquet"
SOURCES = """
sources:
  - name: counter
    description: What the counter of the library books.
    schema: main
    meta:
      external_location: "read_parquet('landed/{name}.parquet')"
    tables:
      - name: member_days
        config:
          event_time: known_at
          loaded_at_field: known_at
          freshness: {error_after: {count: 36500, period: day}}
        description: One row per member and day with a visit.
        columns:
          - {name: member_id, description: The member.}
          - {name: known_at, description: "The end of the day, UTC."}
          - {name: loan_count_30d, description: Loans.}
          - {name: overdue_share_30d, description: Share of loans that came back late.}
          - {name: is_student, description: Whether the member is a student.}
          - {name: favourite_genres, description: Genres.}
          - {name: last_visit_at, description: "The last visit, UTC."}
"""
DBT_OL = "import sys; from openlineage.dbt import main; sys.exit(main())"
TRAIN = """
import sys
from pathlib import Path
from martfeast import training_run

with training_run(sys.argv[1], "overdue") as run:
    Path("model.bin").write_text("trained")
    run.wrote("model.bin", version="1")
"""


@dataclass(frozen=True)
class Told(Library):
    """A library that sends its events to a file."""

    def environment(self) -> dict[str, str]:
        to_file = {"type": "file", "log_file_path": str(self.path / EVENTS), "append": True}
        return {**super().environment(), "OPENLINEAGE__TRANSPORT": json.dumps(to_file)}

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a process of its own, which finds what this one does."""
        found = {"PYTHONPATH": os.pathsep.join([self.python_path, *filter(None, sys.path)])}
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.path,
            env={**self.environment(), **found, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )

    @property
    def events(self) -> list[Json]:
        return read_events(self.path / EVENTS)


def read_events(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def land(library: Library) -> None:
    """Let the days of members be a landed file that a source stands for, and no seed."""
    seed = library.path / "seeds/member_days.csv"
    (library.path / "landed").mkdir()
    duckdb.sql(
        f"copy (select * replace (known_at::timestamp as known_at,"
        f" last_visit_at::timestamp as last_visit_at, overdue_share_30d::double as"
        f" overdue_share_30d) from read_csv('{seed}')) to '{library.path / LANDED}'"
    )
    seed.unlink()
    (library.path / "models/staging/_sources.yml").write_text(SOURCES)
    library.replace_in(
        "models/marts/member_activity_daily.sql",
        "ref('member_days')",
        "source('counter', 'member_days')",
    )
    text = (library.path / "dbt_project.yml").read_text()
    start, end = text.index("    member_days:"), text.index("    shelf_checks:")
    (library.path / "dbt_project.yml").write_text(text[:start] + text[end:])


def build(path: Path) -> None:
    """Build, apply, materialize and train in a new copy of the library."""
    told = Told(copy_library(path).path)
    land(told)
    assert told.dbt("deps").returncode == 0
    built = told.python(DBT_OL, "build")
    assert built.returncode == 0, built.stdout + built.stderr
    for command in (["emit"], ["replay"]):
        done = told.martfeast(*command, cwd=path)
        assert done.returncode == 0, done.stdout + done.stderr
    applied = told.feast("apply")
    assert applied.returncode == 0, applied.stderr
    for command in (["materialize"], ["dataset", "overdue_prediction"]):
        done = told.martfeast(*command, cwd=path)
        assert done.returncode == 0, done.stdout + done.stderr
    trained = told.python(TRAIN, "out/datasets/overdue_prediction/0001")
    assert trained.returncode == 0, trained.stderr
    assert "martfeast:" not in trained.stderr
