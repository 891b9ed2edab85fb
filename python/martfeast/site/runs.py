"""What past dbt runs found of each mart, from the evidence in the warehouse."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb

from martfeast.engines.duckdb import quoted
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.gate.assess import Assessment
from martfeast.published.release import Release
from martfeast.site.mart import Run

MOST_RUNS = 30


def read_runs(
    assessment: Assessment, say: Callable[[str], None] = lambda _: None
) -> Mapping[str, Sequence[Run]] | None:
    """Return the last runs that tested each mart or what it is built on, oldest first.

    Args:
        assessment: how the project stands.
        say: is told why the evidence cannot be read.

    Returns:
        By the mart's unique_id; None where the warehouse is no file of DuckDB that can be read.

    """
    project = assessment.project
    artifacts = project.artifacts
    file = artifacts.project_dir / project.release.location
    if project.release.engine != "duckdb" or not file.is_file():
        return None
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            rows = connection.execute(_sql(artifacts, project.release)).fetchall()
    except duckdb.Error as error:
        say(f"past runs are left out: {str(error).splitlines()[0]}")
        return None
    return {
        mart.unique_id: _runs_of(rows, _tests_of(artifacts, mart.unique_id))
        for mart in project.declaration.own_marts.values()
    }


def _sql(artifacts: Artifacts, release: Release) -> str:
    schema = quoted(artifacts.evidence_schema)
    target = release.target.replace("'", "''")
    return f"""
        select invocation_number, invocations.started_at, node_id, status
        from {schema}.results
        inner join {schema}.invocations using (invocation_id)
        where resource_type in ('test', 'unit_test')
            and status in ('pass', 'fail', 'error', 'warn')
            and target_name = '{target}'
        order by all
    """


def _tests_of(artifacts: Artifacts, unique_id: str) -> dict[str, str]:
    """Return the tests of a mart and of what it is built on, with their names."""
    graph = artifacts.graph
    return {test.unique_id: test.name for test in graph.tests_of(graph.upstream(unique_id))}


def _runs_of(rows: Sequence[tuple[Any, ...]], tests: Mapping[str, str]) -> tuple[Run, ...]:
    found: dict[int, tuple[str, dict[str, str]]] = {}
    for number, started_at, test, status in rows:
        if test in tests:
            found.setdefault(number, (f"{started_at:%Y-%m-%dT%H:%M:%S}", {}))[1][test] = status
    last = sorted(found)[-MOST_RUNS:]
    return tuple(_run(*found[number], tests) for number in last)


def _run(started_at: str, statuses: Mapping[str, str], tests: Mapping[str, str]) -> Run:
    bad = [tests[test] for test, status in sorted(statuses.items()) if status != "pass"]
    failed = sum(status in ("fail", "error") for status in statuses.values())
    warned = sum(status == "warn" for status in statuses.values())
    return Run(started_at, len(statuses) - len(bad), failed, warned, tuple(bad))
