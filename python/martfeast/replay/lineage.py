"""What marts are made of: each relation under them, with its SQL and its knowledge time."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from martfeast.from_dbt.artifacts import Artifacts
from martfeast.problems import DeclarationError, refusal


@dataclass(frozen=True)
class Relation:
    """A model, seed, snapshot or source.

    sql: what it is called in SQL. made_by: the SELECT that makes it; None for what is read as it
    is: in the warehouse, or from where its location says.
    parents: the relations that it reads, by unique_id; what is ephemeral stands for its own.
    event_time: the column that says when a row was known; None if it does not say.
    valid_to: for a snapshot, the column that says until when a row was valid.
    timeless: why its rows were always known, if it is declared so.
    open_end: for a snapshot, SQL of valid_to where a row still holds.
    is_asked_for: whether its SQL has answers of queries that were asked when it was compiled.
    called: the Jinja of the macros and ephemeral models that it calls.
    file: where it is written, relative to the project.
    """

    unique_id: str
    name: str
    kind: str
    sql: str
    made_by: str | None
    location: str | None
    parents: tuple[str, ...]
    event_time: str | None
    valid_to: str | None
    open_end: str
    timeless: str
    is_asked_for: bool
    called: str
    file: str


@dataclass(frozen=True)
class Lineage:
    """The relations under some marts, the marts included, parents before children.

    databases: the DuckDB files that dbt builds and reads, by what SQL calls them.
    settings: of its sessions, as the profile has them.
    """

    relations: dict[str, Relation]
    databases: dict[str, Path]
    settings: dict[str, Any]

    @cached_property
    def _above(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, relation in self.relations.items():  # parents come first
            found[name] = {name}.union(*(found[parent] for parent in relation.parents))
        return found

    def above(self, unique_id: str) -> set[str]:
        """Return the unique_ids of a relation and of all that it is made of."""
        return set(self._above[unique_id])


def compile_lineage(artifacts: Artifacts, marts: list[str]) -> Lineage:
    """Compile a dbt project in a scratch folder, and return what some marts are made of.

    Args:
        artifacts: of the project.
        marts: unique_ids of models.

    Raises:
        DeclarationError: dbt cannot compile the project, or it has what cannot be replayed.

    """
    with tempfile.TemporaryDirectory(prefix="martfeast-replay-") as name:
        target = Path(name)
        command = [sys.executable, "-m", "martfeast.replay.compile_project", str(target)]
        done = subprocess.run(
            command,
            cwd=artifacts.project_dir,
            env={**os.environ, "DBT_LOG_PATH": str(target)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = " ".join((done.stdout + done.stderr).split())
            if "Could not set lock" in said:
                raise _refusal(
                    "warehouse",
                    "Another process has it open for writing.",
                    "Try again when that is done.",
                )
            raise _refusal("dbt project", f"dbt cannot compile it: {said}", "Mend it.")
        manifest = json.loads((target / "manifest.json").read_bytes())
        warehouse = json.loads((target / "warehouse.json").read_bytes())
    if warehouse["type"] != "duckdb":
        raise _refusal(
            "dbt project",
            f"its target is {warehouse['type']}, and a replay runs in DuckDB.",
            "Use a target of type duckdb.",
        )
    found: dict[str, Relation] = {}
    for unique_id in marts:
        _collect(manifest, artifacts, unique_id, found)
    by_sql: dict[str, Relation] = {}
    for relation in found.values():
        other = by_sql.setdefault(relation.sql, relation)
        if other is not relation:
            raise _refusal(
                relation.name,
                f"It is the same table as {other.name}, so a replay cannot tell what is known of"
                " which.",
                "Read it by ref() everywhere.",
            )
    return Lineage(
        found,
        {name: Path(path) for name, path in warehouse["databases"].items()},
        warehouse["settings"],
    )


def _collect(
    manifest: dict[str, Any], artifacts: Artifacts, unique_id: str, found: dict[str, Relation]
) -> None:
    if unique_id in found:
        return
    parents = _parents(manifest, unique_id)
    for parent in parents:
        _collect(manifest, artifacts, parent, found)
    node = manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
    name = node.get("alias") or f"{node['source_name']}.{node['name']}"
    if node.get("language") == "python":
        raise _refusal(name, "It is a Python model, and a replay runs SQL.", "Write it in SQL.")
    config = node["config"]
    is_snapshot = node["resource_type"] == "snapshot"
    columns = config.get("snapshot_meta_column_names") or {}
    valid_from = columns.get("dbt_valid_from") or "dbt_valid_from"
    sql, location, made_by = node["relation_name"], None, None
    if not sql.startswith('"'):  # a source in a file, of which the SQL has the location itself
        sql, location = f'"{node["database"]}"."{node["schema"]}"."{node["identifier"]}"', sql
    if node["resource_type"] == "model":
        made_by = node["compiled_code"].strip().rstrip(";")
        for parent in parents:
            if found[parent].location:
                made_by = made_by.replace(found[parent].location, found[parent].sql)
    found[unique_id] = Relation(
        unique_id=unique_id,
        name=name,
        kind=node["resource_type"],
        sql=sql,
        made_by=made_by,
        location=location,
        parents=tuple(parents),
        event_time=valid_from if is_snapshot else config.get("event_time"),
        valid_to=(columns.get("dbt_valid_to") or "dbt_valid_to") if is_snapshot else None,
        open_end=str(config.get("dbt_valid_to_current") or "null"),
        timeless=str(((config.get("meta") or {}).get("martfeast") or {}).get("timeless") or ""),
        is_asked_for=_asks(manifest, unique_id),
        called=_called(manifest, unique_id),
        file=artifacts.file_of(node["package_name"], node["original_file_path"]),
    )


def _asks(manifest: dict[str, Any], unique_id: str) -> bool:
    """Tell whether a model, or an ephemeral one in it, asks the warehouse when it is compiled."""
    node = manifest["nodes"].get(unique_id, {})
    jinja = (node.get("raw_code") or "") + _called(manifest, unique_id)
    asked = {"macro.dbt.run_query", "macro.dbt.statement"}
    return "adapter.execute" in jinja or not asked.isdisjoint(_macros(manifest, unique_id))


def _called(manifest: dict[str, Any], unique_id: str) -> str:
    """Return the Jinja of the macros that a model calls, dbt's own left out, and of ephemeral ones.

    Comments of Jinja are left out.
    """
    macros = [name for name in _macros(manifest, unique_id) if ".dbt" not in name]
    parts = [manifest["macros"][name]["macro_sql"] for name in macros]
    parts += [manifest["nodes"][name]["raw_code"] for name in _ephemeral(manifest, unique_id)]
    return re.sub(r"\{#.*?#\}", "", "\n".join(parts), flags=re.DOTALL)


def _macros(manifest: dict[str, Any], unique_id: str) -> set[str]:
    """Return the macros that a model and the ephemeral models in it call."""
    seen: set[str] = set()
    waiting: list[str] = []
    for name in (unique_id, *_ephemeral(manifest, unique_id)):
        waiting += manifest["nodes"].get(name, {}).get("depends_on", {}).get("macros", [])
    while waiting:
        macro = waiting.pop()
        if macro not in seen and macro in manifest["macros"]:
            seen.add(macro)
            waiting += manifest["macros"][macro]["depends_on"]["macros"]
    return seen


def _ephemeral(manifest: dict[str, Any], unique_id: str) -> list[str]:
    """Return the ephemeral models in a model."""
    found = []
    for parent in manifest["nodes"].get(unique_id, {}).get("depends_on", {}).get("nodes", []):
        above = manifest["nodes"].get(parent)
        if above and above["config"]["materialized"] == "ephemeral":
            found += [parent, *_ephemeral(manifest, parent)]
    return found


def _parents(manifest: dict[str, Any], unique_id: str) -> list[str]:
    node = manifest["nodes"].get(unique_id)
    found: list[str] = []
    for parent in (node or {}).get("depends_on", {}).get("nodes", []):
        above = manifest["nodes"].get(parent)
        if above and above["config"]["materialized"] == "ephemeral":
            found += _parents(manifest, parent)
        else:
            found.append(parent)
    return list(dict.fromkeys(found))


def _refusal(subject: str, message: str, fix: str) -> DeclarationError:
    return refusal(subject, "not-replayable", message, fix)
