"""Checksums of what nodes run and of what a replay of them depends on."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Test

TEST_SETTINGS = ("severity", "where", "limit", "warn_if", "error_if", "fail_calc")


def code_checksum(graph: Graph, unique_id: str) -> str:
    """Return the MD5 of what a node runs, as the dbt package's macro of this name has it.

    It covers the node's file and materialization, for a test its settings and arguments, the macros
    it calls (dbt's own left out), and the ephemeral models that are part of it.

    Args:
        graph: of the project.
        unique_id: of a model, seed, snapshot or data test.

    """
    node = graph.models.get(unique_id) or graph.tests[unique_id]
    parts = [node.code.checksum or "", node.config.materialized]
    if isinstance(node, Test):
        parts += [str(getattr(node.config, name)) for name in TEST_SETTINGS]
        parts.append(json.dumps(node.generic.arguments if node.generic else {}, sort_keys=True))
    called = graph.macros_called(node.depends_on.macros)
    parts += [graph.macros[name].macro_sql for name in sorted(called)]
    parts += [
        code_checksum(graph, parent)
        for parent in sorted(node.depends_on.nodes)
        if parent in graph.models and graph.models[parent].is_ephemeral
    ]
    return text_checksum("\n".join(parts))


def replay_checksum(graph: Graph, variables: Mapping[str, Any], unique_id: str) -> str:
    """Return the MD5 of what a replay of a relation depends on, its rows left out.

    That is its code, if it is a model or a snapshot, what it says of knowledge time, and the
    variables of dbt_project.yml.
    """
    relation = graph.relation(unique_id)
    has_code = relation.resource_type in ("model", "snapshot")
    parts = [
        code_checksum(graph, unique_id) if has_code else "",
        relation.config.event_time,
        relation.config.meta.get("martfeast"),
        variables,
    ]
    return text_checksum(json.dumps(parts, sort_keys=True, default=str))


def text_checksum(text: str) -> str:
    """Return the MD5 of a text, in hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
