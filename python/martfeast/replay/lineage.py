"""What marts are made of: each relation under them, with its SQL and its knowledge time."""

import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.engines.duckdb import literal, parquet_rows, quoted
from martfeast.engines.engine import Engine, Rows, open_engine
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.checksums import text_checksum
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Macro, Model, Source
from martfeast.problems import DeclarationError, Problem, refusal
from martfeast.replay.compiled import Compiled, compile_project
from martfeast.replay.declared_time import DeclaredTime, read_declared_time
from martfeast.replay.jinja import (
    QUERY,
    UNREAD,
    JinjaRead,
    jinja_reads,
    names_used,
    taken_whole,
)

# The macros here read of a build which run of an incremental model it is. A replay builds a model
# whole, where they give nothing, and the SQL of incremental models is never compared.
INCREMENTS = ("martfeast", "macros/incremental/increment.sql")


@dataclass(frozen=True)
class Validity:
    """Until when rows of a snapshot were valid.

    column: says it. open_end: SQL of its value where a row still holds.
    """

    column: str
    open_end: str


@dataclass(frozen=True)
class Relation:
    """A model, seed, snapshot or source.

    sql: what it is called in SQL. made_by: the SELECT that makes it; None for what is read as it
    is: in the warehouse, or from where its location says.
    parents: the relations that it reads, by unique_id; what is ephemeral stands for its own.
    event_time: the column that says when a row was known; None if it does not say.
    validity: of a snapshot's rows; None of other relations.
    declared: what else it says of when its rows were known.
    jinja: what its Jinja reads of when, how often and on which data it is compiled.
    is_microbatch: whether dbt builds it batch by batch.
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
    validity: Validity | None
    declared: DeclaredTime
    jinja: tuple[JinjaRead, ...]
    is_microbatch: bool
    file: str


@dataclass(frozen=True)
class Built:
    """A relation on the engine that built it. sql: what it is called. made_by: its SELECT."""

    sql: str
    made_by: str | None


@dataclass(frozen=True)
class Lineage:
    """The relations under some marts, the marts included, parents before children.

    databases: what dbt attaches, by what SQL calls it: the SQL that attaches it, read-only.
    settings: of its sessions, as the profile has them.
    refused: why a relation, and so every mart on it, cannot be replayed, by unique_id.
    compiled: the MD5 of each model's SQL as dbt compiled it; '' where every build has other SQL.
    evidence: SQL of the tables `invocations` and `completions`, in which the dbt package notes what
    dbt ran.
    built: what the engine that built a relation calls it, and the SQL that it ran; by unique_id,
    and empty where that is DuckDB. built_on: that engine's name.
    """

    relations: dict[str, Relation]
    databases: dict[str, str]
    settings: dict[str, Any]
    refused: dict[str, Problem]
    compiled: dict[str, str]
    evidence: tuple[str, str] = ("martfeast.invocations", "martfeast.completions")
    built: dict[str, "Built"] = field(default_factory=dict)
    built_on: str = REPLAY_ENGINE

    @cached_property
    def namesakes(self) -> set[str]:
        """The unique_ids of relations whose name in SQL another one has too."""
        counts = Counter(relation.sql.lower() for relation in self.relations.values())
        return {name for name, one in self.relations.items() if counts[one.sql.lower()] > 1}

    @cached_property
    def _above(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, relation in self.relations.items():  # parents come first
            found[name] = {name}.union(*(found[parent] for parent in relation.parents))
        return found

    def called(self, unique_id: str) -> str:
        """Return what a relation is called in SQL of the engine that built it."""
        built = self.built.get(unique_id)
        return built.sql if built else self.relations[unique_id].sql

    def select_of(self, unique_id: str) -> str:
        """Return the SELECT by which the engine that builds a relation makes it."""
        built = self.built.get(unique_id)
        return (built.made_by if built else self.relations[unique_id].made_by) or ""

    def above(self, unique_id: str) -> set[str]:
        """Return the unique_ids of a relation and of all that it is made of."""
        return set(self._above[unique_id])


def compile_lineage(
    artifacts: Artifacts, marts: list[str], inputs: Path
) -> tuple[Lineage, Engine | None]:
    """Compile a dbt project in a scratch folder, and return what some marts are made of.

    Of a target that is no DuckDB the project is compiled for DuckDB too, and what dbt does not make
    from SQL (sources, seeds, snapshots) is exported.

    Args:
        artifacts: of the project.
        marts: unique_ids of models.
        inputs: an empty folder for what is exported; needed as long as the lineage is.

    Returns:
        The lineage, and the engine that builds it where that is no DuckDB.

    Raises:
        DeclarationError: dbt cannot compile the project, or it has what cannot be replayed.

    """
    compiled = compile_project(artifacts)
    lineage = _lineage(artifacts, marts, compiled)
    _refuse_same_tables(lineage)
    if compiled.stood_for is None:
        _refuse_unreadable(lineage, compiled.warehouse["databases"])
        return lineage, None
    with contextlib.chdir(artifacts.project_dir):
        engine = open_engine(compiled.stood_for.credentials)
        return _with_exports(lineage, engine, artifacts, inputs), engine


def _lineage(artifacts: Artifacts, marts: list[str], compiled: Compiled) -> Lineage:
    graph, warehouse, built = compiled.graph, compiled.warehouse, compiled.built
    found: dict[str, Relation] = {}
    for unique_id in marts:
        _collect(graph, artifacts, unique_id, found)
    schema = f"{quoted(warehouse['name'])}.{quoted(artifacts.evidence_schema)}"
    return Lineage(
        found,
        _databases(warehouse["databases"]),
        warehouse["settings"],
        _python_models(graph, found),
        {name: _compiled_checksum(one, built.relation(name)) for name, one in found.items()},
        (f"{schema}.invocations", f"{schema}.completions"),
        {name: _built(built.relation(name)) for name in found} if compiled.stood_for else {},
        built.adapter_type,
    )


def _built(node: Model | Source) -> Built:
    is_made = isinstance(node, Model) and node.resource_type == "model"
    made_by = node.code.compiled if is_made and isinstance(node, Model) else None
    return Built(node.relation.sql or "", made_by and made_by.strip().rstrip(";"))


def _with_exports(lineage: Lineage, engine: Engine, artifacts: Artifacts, inputs: Path) -> Lineage:
    """Export what dbt does not make from SQL, and the evidence; return a lineage that reads that.

    Raises:
        DeclarationError: the engine has not got a relation.

    """
    relations = {}
    for number, (name, relation) in enumerate(lineage.relations.items()):
        if relation.made_by is None:
            path = inputs / f"{number}"
            engine.export(Rows(lineage.built[name].sql), path)
            relation = replace(relation, location=parquet_rows(path))
        relations[name] = relation
    evidence = []
    for table in ("invocations", "completions"):
        engine.export(Rows(engine.name(artifacts.evidence_schema, table)), inputs / table)
        evidence.append(parquet_rows(inputs / table))
    return replace(lineage, relations=relations, evidence=(evidence[0], evidence[1]))


def _python_models(graph: Graph, found: dict[str, Relation]) -> dict[str, Problem]:
    return {
        name: _problem(relation, "It is a Python model, and a replay runs SQL.", "Write it in SQL.")
        for name, relation in found.items()
        if name in graph.models and graph.models[name].code.language == "python"
    }


def _refuse_same_tables(lineage: Lineage) -> None:
    """Refuse what is made of two relations that are one table."""
    by_sql: dict[str, Relation] = {}
    for relation in lineage.relations.values():
        other = by_sql.setdefault(relation.sql.lower(), relation)
        if other is relation:
            continue
        problem = _problem(
            relation,
            f"It is the same table as {other.name}, so a replay cannot tell what is known of"
            " which.",
            "Read it by ref() everywhere.",
        )
        for name in lineage.relations:
            if {relation.unique_id, other.unique_id} <= lineage.above(name):
                lineage.refused.setdefault(name, problem)


def _databases(databases: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return for each database in a file the SQL that attaches it, read-only."""
    return {
        name: f"attach {literal(one['path'])} as {quoted(name)}"
        f" (read_only{', type ' + quoted(one['type']) if one['type'] else ''})"
        for name, one in databases.items()
    }


def _refuse_unreadable(lineage: Lineage, databases: dict[str, dict[str, Any]]) -> None:
    """Refuse what is read from a database in memory; insist that the others have their file.

    Raises:
        DeclarationError: there is no such file.

    """
    for name, relation in lineage.relations.items():
        if relation.made_by is not None or relation.location or name in lineage.refused:
            continue
        database = relation.sql.split(".")[0].strip('"')
        path = str(databases.get(database, {"path": ""})["path"])
        if path.startswith(":memory:"):
            lineage.refused[name] = _problem(
                relation,
                "Its database is in memory, of which nothing is left when dbt is done.",
                "Give the profile a path to a file, then run `dbt build`.",
            )
        elif path.startswith("/") and not Path(path).exists():
            raise _refusal(
                relation.name,
                f"Its database {path} does not exist. A relative path in a profile starts where dbt"
                " was started, and here it starts in the project's folder.",
                "Write an absolute path in profiles.yml, or run dbt in the project's folder.",
            )


def _collect(
    graph: Graph, artifacts: Artifacts, unique_id: str, found: dict[str, Relation]
) -> None:
    if unique_id in found:
        return
    parents = graph.relations_read(unique_id)
    for parent in parents:
        _collect(graph, artifacts, parent, found)
    node = graph.relation(unique_id)
    locations = {found[name].location: found[name].sql for name in parents if found[name].location}
    found[unique_id] = _relation(graph, artifacts, node, tuple(parents), locations)


def _relation(
    graph: Graph,
    artifacts: Artifacts,
    node: Model | Source,
    parents: tuple[str, ...],
    locations: dict[str | None, str],
) -> Relation:
    """Return a node as a relation. locations: what SQL calls parents in files, by location."""
    name, file = node.relation, artifacts.file_of_node(node)
    sql, location, made_by = name.sql or "", None, None
    event_time, validity = node.config.event_time, None
    if isinstance(node, Source) and not sql.startswith('"'):
        # A source in a file, of which the SQL has the location itself.
        sql, location = f'"{name.database}"."{name.schema_name}"."{node.identifier}"', sql
    if isinstance(node, Model) and node.resource_type == "snapshot":
        event_time = node.config.column("dbt_valid_from")
        open_end = node.config.dbt_valid_to_current or "null"
        validity = Validity(node.config.column("dbt_valid_to"), open_end)
    if isinstance(node, Model) and node.resource_type == "model":
        made_by = (node.code.compiled or "").strip().rstrip(";")
        for place, known_as in locations.items():
            made_by = made_by.replace(str(place), known_as)
    return Relation(
        unique_id=node.unique_id,
        name=node.alias,
        kind=node.resource_type,
        sql=sql,
        made_by=made_by,
        location=location,
        parents=parents,
        event_time=event_time,
        validity=validity,
        declared=read_declared_time(node, file),
        jinja=_jinja(graph, node),
        is_microbatch=node.config.incremental_strategy == "microbatch",
        file=file,
    )


def _compiled_checksum(relation: Relation, node: Model | Source) -> str:
    """Return the MD5 of a model's SQL, as the dbt package notes it; '' where builds differ."""
    if not isinstance(node, Model) or relation.made_by is None or relation.jinja:
        return ""
    is_incremental = node.config.materialized == "incremental"
    return "" if is_incremental else text_checksum((node.code.compiled or "").strip())


def _jinja(graph: Graph, node: Model | Source) -> tuple[JinjaRead, ...]:
    """Return what a model's Jinja reads, with that of the ephemeral models and macros in it."""
    if not isinstance(node, Model) or node.resource_type != "model":
        return ()
    direct = _direct_macros(graph, node.unique_id)
    ephemeral = [graph.models[name].code.raw for name in graph.ephemeral_in(node.unique_id)]
    macros = _macros_reached(graph, direct, [node.code.raw, *ephemeral])
    reached = (graph.macros[name] for name in macros)
    called = [*ephemeral, *(macro.macro_sql for macro in reached if not _is_of_increments(macro))]
    found = jinja_reads(node.code.raw, called)
    whole = frozenset[str]().union(*map(taken_whole, [node.code.raw, *called]))
    found += [JinjaRead(UNREAD, name, 1) for name in sorted(graph.packages & whole)[:1]]
    # dbt's own macros are not read, but some of them ask the database.
    asked = {"macro.dbt.run_query", "macro.dbt.statement"}
    if not asked.isdisjoint(graph.macros_called(direct, with_dbts_own=True)):
        found.append(JinjaRead(QUERY, "a query", 1))
    return tuple(found)


def _is_of_increments(macro: Macro) -> bool:
    return (macro.package_name, macro.original_file_path) == INCREMENTS


def _macros_reached(graph: Graph, direct: list[str], texts: list[str]) -> list[str]:
    """Return the macros that texts call, or name and so may call, dbt's own left out."""
    found = graph.macros_called(direct)
    waiting = [*texts, *(graph.macros[name].macro_sql for name in found)]
    while waiting:
        named = {
            macro.unique_id
            for name in names_used(waiting.pop())
            for macro in graph.macros_by_name.get(name, ())
            if not graph.is_dbts_own(macro.unique_id)
        }
        new = graph.macros_called(named) - found
        found |= new
        waiting += [graph.macros[name].macro_sql for name in new]
    return sorted(found)


def _direct_macros(graph: Graph, unique_id: str) -> list[str]:
    """Return the macros that a model and the ephemeral models in it call by themselves."""
    names = [unique_id, *graph.ephemeral_in(unique_id)]
    models = [graph.models[name] for name in names if name in graph.models]
    return [macro for model in models for macro in model.depends_on.macros]


def _problem(relation: Relation, message: str, fix: str) -> Problem:
    return Problem(relation.name, "not-replayable", message, fix, relation.file)


def _refusal(subject: str, message: str, fix: str) -> DeclarationError:
    return refusal(subject, "not-replayable", message, fix)
