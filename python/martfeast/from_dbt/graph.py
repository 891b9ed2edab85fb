"""A dbt project's graph, read from a manifest: the one walk over ancestors, macros and tests."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from martfeast.causes import Cause, cause_of
from martfeast.files import read_settled
from martfeast.from_dbt.node import (
    GROUPS,
    Exposure,
    Group,
    Macro,
    Metric,
    Model,
    Node,
    Source,
    Test,
    UnitTest,
)
from martfeast.problems import DeclarationError, refusal

MANIFEST_VERSION = "https://schemas.getdbt.com/dbt/manifest/v12.json"
BUILD = "Run `dbt build`: it writes the manifest anew."
RELATIONS = ("model", "seed", "snapshot")

T = TypeVar("T", bound=BaseModel)
# What nodes may depend on besides nodes and sources, none of which is read here.
_OTHER_NODES = (
    "exposures",
    "metrics",
    "semantic_models",
    "saved_queries",
    "functions",
    "disabled",
)


@dataclass(frozen=True)
class Graph:
    """A dbt project's nodes, by unique_id, and how they depend on one another.

    generated_at: when dbt wrote the manifest. models: models, seeds and snapshots.
    tests: data tests. disabled: models that are switched off.
    """

    project_name: str
    adapter_type: str
    generated_at: datetime
    models: Mapping[str, Model]
    tests: Mapping[str, Test]
    unit_tests: Mapping[str, UnitTest]
    sources: Mapping[str, Source]
    exposures: Mapping[str, Exposure]
    macros: Mapping[str, Macro]
    groups: Mapping[str, Group]
    disabled: tuple[Model, ...]
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def relation(self, unique_id: str) -> Model | Source:
        """Return a model, seed, snapshot or source."""
        return self.models.get(unique_id) or self.sources[unique_id]

    def upstream(self, unique_id: str) -> list[str]:
        """Return the unique_ids of a relation and of all upstream of it, each after its parents."""
        found: dict[str, None] = {}

        def collect(name: str) -> None:
            for parent in self._parents(name):
                if parent not in found:
                    collect(parent)
            found[name] = None

        collect(unique_id)
        return list(found)

    def relations_read(self, unique_id: str) -> list[str]:
        """Return the relations that a node reads; what is ephemeral stands for its own."""
        found: dict[str, None] = {}
        for parent in self._parents(unique_id):
            model = self.models.get(parent)
            names = self.relations_read(parent) if model and model.is_ephemeral else [parent]
            found.update(dict.fromkeys(names))
        return list(found)

    def ephemeral_in(self, unique_id: str) -> list[str]:
        """Return the ephemeral models that are part of a node, those in them included."""
        found: dict[str, None] = {}
        for parent in self._parents(unique_id):
            if parent in self.models and self.models[parent].is_ephemeral:
                found.update(dict.fromkeys([parent, *self.ephemeral_in(parent)]))
        return list(found)

    def macros_called(self, macro_ids: Iterable[str], with_dbts_own: bool = False) -> set[str]:
        """Return macros and all that they call; dbt's own, and what those call, only if asked."""
        found: set[str] = set()
        waiting = list(macro_ids)
        while waiting:
            macro_id = waiting.pop()
            is_wanted = with_dbts_own or not self.is_dbts_own(macro_id)
            if macro_id not in found and is_wanted:
                found.add(macro_id)
                waiting += self.macros[macro_id].depends_on.macros
        return found

    def is_dbts_own(self, macro_id: str) -> bool:
        """Tell whether a macro is of dbt itself or of its adapter, and of no other package."""
        return macro_id.split(".")[1] in self.dbts_own

    @property
    def dbts_own(self) -> tuple[str, str]:
        """The packages of dbt itself and of its adapter."""
        return ("dbt", f"dbt_{self.adapter_type}")

    @cached_property
    def packages(self) -> frozenset[str]:
        """The packages that have macros, the project and dbt itself among them."""
        return frozenset(macro_id.split(".")[1] for macro_id in self.macros)

    @cached_property
    def macros_by_name(self) -> Mapping[str, Sequence[Macro]]:
        """The macros of all packages by what they are called."""
        found: dict[str, list[Macro]] = {}
        for macro in self.macros.values():
            found.setdefault(macro.name, []).append(macro)
        return found

    def tests_of(self, lineage: Iterable[str]) -> Iterator[Test | UnitTest]:
        """Yield the data tests and unit tests of any relation of a lineage."""
        found = {
            test.unique_id: test
            for name in lineage
            for test in self._tests_by_relation.get(name, ())
        }
        yield from found.values()

    def generic_tests_on(self, unique_id: str) -> Iterator[Test]:
        """Yield the generic tests that are attached to a relation."""
        for test in self._tests_by_relation.get(unique_id, ()):
            if isinstance(test, Test) and test.generic and test.attached_node == unique_id:
                yield test

    @cached_property
    def _tests_by_relation(self) -> Mapping[str, Sequence[Test | UnitTest]]:
        """The data tests and unit tests of each relation; by it, as every mart asks for its own."""
        found: dict[str, list[Test | UnitTest]] = {}
        tests: list[Test | UnitTest] = [*self.tests.values(), *self.unit_tests.values()]
        for test in tests:
            for name in test.tested:
                found.setdefault(name, []).append(test)
        return found

    def owner_of(self, group: str | None) -> str:
        """Return who owns a group; '' if nobody does."""
        owners = (one.owner for one in self.groups.values() if one.name == group)
        return str(next(owners, None) or "")

    def _parents(self, unique_id: str) -> tuple[str, ...]:
        """Return the relations that a relation is made of; a source is made of none."""
        model = self.models.get(unique_id)
        names = model.depends_on.nodes if model else ()
        return tuple(name for name in names if name in self.models or name in self.sources)


def read_graph(path: Path) -> Graph:
    """Read a manifest.

    Args:
        path: a manifest.json of schema v12, as dbt 1.11 writes it.

    Raises:
        DeclarationError: there is none, it is of another schema, or something in it is not as dbt
            writes it; the node that it is in is named.

    """
    return parse_graph(_read_manifest(path), path)


def parse_graph(manifest: dict[str, Any], path: Path) -> Graph:
    """Return the graph of a manifest that is in memory.

    Args:
        manifest: as JSON has it, of schema v12.
        path: where it was read from, for messages.

    Raises:
        DeclarationError: something in it is not as dbt writes it; the node that it is in is named.

    """
    return _Reader(path, manifest).graph()


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = read_settled(path, json.loads)
    except FileNotFoundError:
        raise refusal(
            "dbt artifacts",
            "artifacts-missing",
            f"{path} does not exist: dbt has not run.",
            "Run `dbt build`.",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(f"{path} is not readable JSON: {error}.", cause_of(error)) from None
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    version = metadata.get("dbt_schema_version") if isinstance(metadata, dict) else None
    if version != MANIFEST_VERSION:
        raise refusal(
            "dbt artifacts",
            "manifest-version",
            f"{path} has schema {version}, and martfeast reads {MANIFEST_VERSION}.",
            "Run `dbt build` with dbt 1.11.",
        )
    return dict(manifest)


class _Reader:
    """Reads the parts of a manifest; names the node where one is not as dbt writes it."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    def graph(self) -> Graph:
        metadata = self.manifest["metadata"]
        try:
            generated_at = datetime.fromisoformat(metadata["generated_at"])
            project_name, adapter_type = str(metadata["project_name"]), metadata["adapter_type"]
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(f"{self.path} has metadata without {error}.") from None
        nodes = self._section("nodes")
        of_type = {
            name: node.get("resource_type") if isinstance(node, dict) else None
            for name, node in nodes.items()
        }
        graph = Graph(
            project_name=project_name,
            adapter_type=str(adapter_type),
            generated_at=generated_at,
            models={
                n: self._read(Model, n, nodes[n]) for n, t in of_type.items() if t in RELATIONS
            },
            tests={n: self._read(Test, n, nodes[n]) for n, t in of_type.items() if t == "test"},
            unit_tests=self._all(UnitTest, "unit_tests"),
            sources=self._all(Source, "sources"),
            exposures=self._all(Exposure, "exposures"),
            macros=self._all(Macro, "macros"),
            groups=self._all(Group, "groups"),
            disabled=tuple(self._disabled()),
            metrics=self._all(Metric, "metrics"),
        )
        untyped = [name for name, type_ in of_type.items() if not isinstance(type_, str)]
        if untyped:
            raise self._damaged(untyped[0], "its resource_type is not a text")
        self._check_edges(graph)
        return graph

    def _section(self, name: str) -> dict[str, Any]:
        section = self.manifest.get(name, {} if name != "nodes" else None)
        if not isinstance(section, dict):
            raise _unreadable(f"{self.path} is not a whole manifest: {name} is no mapping.")
        return section

    def _all(self, type_: type[T], section: str) -> dict[str, T]:
        return {name: self._read(type_, name, raw) for name, raw in self._section(section).items()}

    def _disabled(self) -> Iterator[Model]:
        for name, versions in self._section("disabled").items():
            if not isinstance(versions, list):
                raise self._damaged(name, "it is no list of disabled nodes")
            for raw in versions:
                if isinstance(raw, dict) and raw.get("resource_type") == "model":
                    yield self._read(Model, name, raw)

    def _read(self, type_: type[T], name: str, raw: Any) -> T:
        try:
            read = type_.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            steps = [str(step) for step in first["loc"] if step not in GROUPS]
            what = f"{'.'.join(steps) or 'the node'}: {first['msg'].lower()}"
            raise self._damaged(name, what) from None
        if getattr(read, "unique_id", name) != name:
            raise self._damaged(name, "its unique_id is another")
        return read

    def _check_edges(self, graph: Graph) -> None:
        """Insist that all that nodes are made of is there, and that none is made of itself."""
        known = {*self._section("nodes"), *graph.sources}
        for section in _OTHER_NODES:
            known |= set(self._section(section))
        nodes: list[Node] = [
            *graph.models.values(),
            *graph.tests.values(),
            *graph.unit_tests.values(),
            *graph.exposures.values(),
        ]
        for node in nodes:
            gone = [name for name in node.depends_on.nodes if name not in known]
            gone += [name for name in node.depends_on.macros if name not in graph.macros]
            if gone:
                raise self._damaged(node.unique_id, f"it depends on {gone[0]}, which is not there")
        for macro in graph.macros.values():
            gone = [name for name in macro.depends_on.macros if name not in graph.macros]
            if gone:
                raise self._damaged(macro.unique_id, f"it calls {gone[0]}, which is not there")
        try:
            TopologicalSorter(
                {name: model.depends_on.nodes for name, model in graph.models.items()}
            ).prepare()
        except CycleError as error:
            raise self._damaged(error.args[1][0], "it depends on itself") from None

    def _damaged(self, name: str, what: str) -> DeclarationError:
        return refusal(
            name,
            "manifest-unreadable",
            f"{self.path} has this node otherwise than dbt writes it: {what}.",
            BUILD,
        )


def _unreadable(message: str, cause: Cause = Cause.USAGE) -> DeclarationError:
    return refusal("dbt artifacts", "manifest-unreadable", message, BUILD, cause=cause)
