"""What dbt says while it runs, node by node, out of its structured log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from martfeast.orchestration.command import Running
from martfeast.running_dbt.node_events import NODE_FINISHED

# How a node may end, in dbt's words. A partial success is a microbatch model with failed batches.
SUCCEEDED = ("success", "pass", "warn", "no-op")
SKIPPED = "skipped"
TEST_FAILED = "fail"


@dataclass(frozen=True)
class Said:
    """A line of dbt's log. unique_id: of the node that it is about; empty if it is about none."""

    text: str
    level: str
    unique_id: str


@dataclass(frozen=True)
class NodeStarted:
    """dbt began with a node."""

    unique_id: str


@dataclass(frozen=True)
class NodeFinished:
    """A node's end.

    status: in dbt's words. failures: rows that a test failed on. seconds: how long it took.
    columns: types by name of what was built; parents: those of what it reads, by unique_id.
    row_count: of what was built, unless it is a view. All three only where the run is described.
    node_info: what dbt says of the node. invocation_id: of the run of dbt.
    """

    unique_id: str
    status: str
    message: str
    seconds: float
    failures: int | None = None
    row_count: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    parents: dict[str, dict[str, str]] = field(default_factory=dict)
    node_info: dict[str, Any] = field(default_factory=dict)
    invocation_id: str = ""

    @property
    def has_succeeded(self) -> bool:
        """Whether it did what it was to do; a node that was skipped did not."""
        return self.status in SUCCEEDED


Event = Said | NodeStarted | NodeFinished


def dbt_events(running: Running) -> Iterator[Event]:
    """Yield what dbt says, as it says it, until it has ended.

    Args:
        running: dbt or `martfeast backfill`, as started with ``--log-format json``.

    """
    for line in running.lines():
        if event := read_event(line):
            yield event


def read_event(line: str) -> Event | None:
    """Return what a line of dbt's structured log says; None where it says nothing."""
    try:
        said = json.loads(line)
        info, data = said["info"], said.get("data", {})
    except (ValueError, TypeError, KeyError):
        return Said(line, "info", "") if line.strip() else None
    node = data.get("node_info", {})
    unique_id = node.get("unique_id", "")
    if info["name"] == NODE_FINISHED:
        return _finished(unique_id, node, data, info.get("invocation_id", ""))
    if info["name"] == "LogStartLine":
        return NodeStarted(unique_id)
    text = info.get("msg", "").strip()
    return Said(text, info.get("level", "info"), unique_id) if text else None


def _finished(
    unique_id: str, node: dict[str, Any], data: dict[str, Any], invocation_id: str
) -> NodeFinished:
    result = data["run_result"]
    status = str(result.get("status", "")).lower()
    is_counted = status in (TEST_FAILED, "pass", "warn")
    return NodeFinished(
        unique_id,
        status,
        " ".join(str(result.get("message") or "").split()),
        float(result.get("execution_time") or 0.0),
        int(result.get("num_failures") or 0) if is_counted else None,
        data.get("row_count"),
        data.get("columns", {}),
        data.get("parents", {}),
        node,
        invocation_id,
    )
