"""A dbt project as compiled for a replay: for DuckDB, and for the engine that builds it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from martfeast.causes import cause_said
from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.files import temporary_folder, wait_for_database
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph, read_graph
from martfeast.problems import refusal
from martfeast.running_dbt.stand_in import Target, read_target, write_stand_in


@dataclass(frozen=True)
class Compiled:
    """A compiled project.

    graph: for DuckDB. built: for the engine that builds it; the same where that is DuckDB.
    warehouse: where the databases are that DuckDB reads, and its settings. stood_for: the target
    for which DuckDB only stands in; None where it is the target's own engine.
    """

    graph: Graph
    built: Graph
    warehouse: dict[str, Any]
    stood_for: Target | None


def compile_project(artifacts: Artifacts) -> Compiled:
    """Compile a project in a scratch folder, for the target that published.

    Raises:
        DeclarationError: dbt cannot compile it.

    """
    dbt_project = artifacts.dbt_project
    built, warehouse = _run_dbt(artifacts, dbt_project.arguments)
    if artifacts.target not in (None, warehouse["target"]):
        # Only where dbt takes another by itself: given other options, it parses everything anew.
        dbt_project = replace(dbt_project, target=artifacts.target)
        built, warehouse = _run_dbt(artifacts, dbt_project.arguments)
    if warehouse["type"] == REPLAY_ENGINE:
        return Compiled(built, built, warehouse, None)
    target = read_target(dbt_project, warehouse["target"])
    with temporary_folder("replay") as name:
        options = write_stand_in(Path(name), target)
        graph, warehouse = _run_dbt(artifacts, [*options, *dbt_project.given_variables])
    return Compiled(graph, built, warehouse, target)


def _run_dbt(artifacts: Artifacts, options: list[str]) -> tuple[Graph, dict[str, Any]]:
    with temporary_folder("replay") as name:
        target = Path(name)
        done = subprocess.run(
            [sys.executable, "-m", "martfeast.replay.compile_project", str(target), *options],
            cwd=artifacts.project_dir,
            env={
                **os.environ,
                "DBT_LOG_PATH": str(target),
                # Only what changed since dbt last parsed the project is parsed again.
                "DBT_PARTIAL_PARSE_FILE_PATH": str(artifacts.target_path / "partial_parse.msgpack"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = " ".join((done.stdout + done.stderr).split())
            if wait_for_database(done.stdout + done.stderr):
                return _run_dbt(artifacts, options)
            message = f"dbt cannot compile it: {said}"
            cause = cause_said(said)
            raise refusal("dbt project", "not-replayable", message, "Mend it.", cause=cause)
        graph = read_graph(target / "manifest.json")
        return graph, json.loads((target / "warehouse.json").read_bytes())
