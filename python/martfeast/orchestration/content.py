"""What nodes are made of, as keys: a node whose key was built already need not be built again."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from martfeast.backfill.evidence import recorded
from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.from_dbt.checksums import code_checksum
from martfeast.orchestration.steps import BUILT, Steps

# The last run that was to make each node, or to test it, by the evidence in the warehouse: by what
# it was to do, as a run that was cut off has no results.
_LAST_RUNS = (
    "select node_id, max_by(invocation_id, invocation_number) as run from ("
    " select invocation_id, invocation_number, unnest(selected_nodes) as node_id"
    " from {invocations}"
    " union all"
    " select results.invocation_id, invocations.invocation_number, results.node_id"
    " from {results} as results"
    " inner join {invocations} as invocations"
    " on results.invocation_id = invocations.invocation_id"
    ") group by node_id"
)
_RELATIONS = "select table_catalog, table_schema, table_name from information_schema.tables"


def content_keys(steps: Steps, run_id: str) -> dict[str, str]:
    """Return a key of all that each node is made of, by unique_id, tests too; parents come first.

    It covers the node's code, with macros and settings; variables and target; and the keys of its
    parents. What sources hold nobody knows, nor what SQL reads that has no parents: their keys are
    those of the run, and so is that of all that is built on them.

    Args:
        steps: the project.
        run_id: of the orchestrator's run.

    """
    nodes = nodes_of(steps)
    parents = {one: parents_of(steps, node) for one, node in nodes.items()}
    given = json.dumps(
        [
            steps.project.artifacts.variables,
            steps.project.artifacts.settings,
            steps.dbt_project.target,
            steps.dbt_project.profile,
        ],
        sort_keys=True,
        default=str,
    )
    keys: dict[str, str] = {}
    for one in TopologicalSorter(parents).static_order():
        if one not in nodes:
            keys[one] = _checksum(one, run_id)
            continue
        known = _is_whole(nodes[one]) or bool(parents[one])
        code = _code(steps, one, nodes[one])
        above = [keys[parent] for parent in sorted(parents[one])]
        keys[one] = _checksum(one, given, code, "" if known else run_id, *above)
    return {one: key for one, key in keys.items() if one in nodes}


def nodes_of(steps: Steps) -> dict[str, Mapping[str, Any]]:
    """Return what `dbt build` builds and tests, as the manifest has it, by unique_id."""
    tested = {**steps.manifest["nodes"], **steps.manifest["unit_tests"]}
    return {
        unique_id: node
        for unique_id, node in tested.items()
        if node["resource_type"] in (*BUILT, "test", "unit_test")
        and node["config"].get("materialized") != "ephemeral"
    }


def reads_of(node: Mapping[str, Any]) -> list[str]:
    """Return what a node reads, as the manifest has it, by unique_id; seeds read nothing."""
    return list(node["depends_on"].get("nodes", ()))


def still_there(steps: Steps, made_by: Mapping[str, str]) -> set[str]:
    """Return the nodes that nobody has made since, and whose relations are there.

    Args:
        steps: the project.
        made_by: the dbt invocation that is known to have made or tested a node, by unique_id.

    Returns:
        Of these, by unique_id; none on an engine that is not asked in this process.

    """
    artifacts = steps.project.artifacts
    if not made_by or artifacts.graph.adapter_type != REPLAY_ENGINE:
        return set()
    asked = (steps.name, steps.dbt_project, artifacts.target, artifacts.evidence_schema)
    with contextlib.chdir(steps.dbt_project.folder):  # where its profile's relative paths begin
        last = {row["node_id"]: row["run"] for row in recorded(*asked, _LAST_RUNS)}
        there = {tuple(row.values()) for row in recorded(*asked, _RELATIONS)}
    return {
        one
        for one, run in made_by.items()
        if last.get(one) == run and _relation(steps.manifest, one) in {*there, None}
    }


def _relation(manifest: Mapping[str, Any], unique_id: str) -> tuple[str, ...] | None:
    node = manifest["nodes"].get(unique_id)
    if node is None or node["resource_type"] not in BUILT:
        return None
    return node["database"], node["schema"], node["alias"]


def parents_of(steps: Steps, node: Mapping[str, Any]) -> list[str]:
    """Return the nodes and sources that a node reads; for what is part of it, what that reads."""
    found = []
    for one in reads_of(node):
        parent = steps.manifest["nodes"].get(one)
        is_part = parent is not None and parent["config"]["materialized"] == "ephemeral"
        found += parents_of(steps, parent) if is_part else [one]
    return found


def _is_whole(node: Mapping[str, Any]) -> bool:
    """Tell whether dbt has read all that is in a node: of a large seed it reads the name only."""
    return bool(node["resource_type"] == "seed" and node["checksum"]["name"] == "sha256")


def _code(steps: Steps, unique_id: str, node: Mapping[str, Any]) -> str:
    graph = steps.project.artifacts.graph
    if unique_id in graph.models or unique_id in graph.tests:
        relation = node.get("relation_name") or ""
        config = json.dumps(node["config"], sort_keys=True, default=str)
        return "\n".join([code_checksum(graph, unique_id), relation, config])
    stable = {name: node.get(name) for name in ("given", "expect", "overrides", "model")}
    return json.dumps(stable, sort_keys=True, default=str)


def _checksum(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
