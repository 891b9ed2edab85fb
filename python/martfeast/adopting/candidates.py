"""Models that could be marts, and what the gate would say of each if it were declared now."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from martfeast.declaration.declared import Mart
from martfeast.declaration.project import declare
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Column, Model, feast_meta
from martfeast.from_dbt.tested import unique_columns
from martfeast.gate.criteria import PUBLISHED
from martfeast.gate.evidence import Evidence
from martfeast.gate.judge import as_problem, judge
from martfeast.problems import Problem, ProblemLog
from martfeast.published.release import Release

T = TypeVar("T", Model, Column)

_KEY = re.compile(r".+_(?:id|key|code|number|no)", re.IGNORECASE)
_TIME = re.compile(r"(?:.+_)?(?:at|ts|time|timestamp|datetime|date|day)", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A model that could be a mart.

    model: as dbt knows it; columns and types that only the warehouse tells are added.
    why: what makes it look like a mart. keys: the columns that look like join keys.
    time: the column that looks like when a row became known; None if none does.
    sole_key: a column that is unique by itself, so that nothing has a second row.
    missing: what the gate would find amiss if it were declared with these; builds and replays,
    which come after, are left out. Without a key or a time, nothing was asked.
    """

    model: Model
    why: str
    keys: tuple[str, ...]
    time: str | None
    sole_key: str | None
    missing: tuple[Problem, ...] = ()

    @property
    def is_suitable(self) -> bool:
        """Whether it has what a feature view cannot be without."""
        return bool(self.keys and self.time)


def find_candidates(artifacts: Artifacts) -> list[Candidate]:
    """Return the models of a project that could be marts and are not.

    They are tables and incremental models that are in a folder ``marts``, or that no other model
    reads. The gate itself says what is missing for each: it judges the project as if the model had
    ``meta.feast``. Types come from the contract, or else from dbt's catalog if there is one. Those
    under ``marts`` come first, and of these the readiest.
    """
    types = _catalog_types(artifacts.target_path / "catalog.json")
    found = []
    for unique_id, model in artifacts.graph.models.items():
        why = _why(artifacts.graph, model)
        if why:
            found.append(_candidate(artifacts.graph, _typed(model, types.get(unique_id, {})), why))
    return sorted(_judge(artifacts, found), key=_rank)


def _rank(one: Candidate) -> tuple[bool, bool, int, str]:
    rules = {problem.rule for problem in one.missing}
    return not one.is_suitable, not _is_under_marts(one.model), len(rules), one.model.alias


def as_candidate(graph: Graph, model: Model, types: dict[str, str]) -> Candidate:
    """Return a model as the mart that it could be, whatever else speaks for or against it.

    Args:
        graph: of the project.
        model: of the graph.
        types: of its columns in the warehouse, which its YAML need not know.

    """
    return _candidate(graph, _typed(model, types), "it was asked for")


def entity_name(column: str) -> str:
    """Return what the entity of a key column is best called."""
    return re.sub(r"_(?:id|key|code|number|no)$", "", column, flags=re.IGNORECASE)


def _catalog_types(path: Path) -> dict[str, dict[str, str]]:
    """Return the type of each column by relation, as `dbt docs generate` found them, if it ran."""
    try:
        return {
            unique_id: {name: column["type"] for name, column in node["columns"].items()}
            for unique_id, node in json.loads(path.read_bytes())["nodes"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _typed(model: Model, types: dict[str, str]) -> Model:
    columns = dict(model.columns)
    names = {name.lower(): name for name in columns}
    for name, type_ in types.items():
        column = columns.setdefault(names.get(name.lower(), name), Column(name=name))
        if not column.data_type:
            columns[column.name] = column.model_copy(update={"data_type": str(type_).lower()})
    return model.model_copy(update={"columns": columns})


def _why(graph: Graph, model: Model) -> str:
    """Return what makes a model look like a mart; '' if nothing does."""
    is_table = model.config.materialized in ("table", "incremental")
    is_own = model.written.package_name == graph.project_name
    if model.resource_type != "model" or not is_table or not is_own or feast_meta(model)[0]:
        return ""
    what = "a table" if model.config.materialized == "table" else "an incremental model"
    if _is_under_marts(model):
        return f"{what} under marts/"
    if any(model.unique_id in one.depends_on.nodes for one in graph.models.values()):
        return ""
    return f"{what} that no other model reads"


def _is_under_marts(model: Model) -> bool:
    return "marts" in PurePosixPath(model.written.original_file_path).parts[:-1]


def _candidate(graph: Graph, model: Model, why: str) -> Candidate:
    """Return a model with the columns that look like its keys and its time.

    Keys are the columns that a test says are unique together, the time left out; or else those that
    are named like keys. One that is unique by itself is none: nothing has a history under it.
    """
    unique = unique_columns(graph, model.unique_id, of_any_definition=True)
    together = max((columns for columns in unique if len(columns) > 1), key=len, default=None)
    alone = set[str]().union(*(columns for columns in unique if len(columns) == 1))
    keys = [
        name
        for name, column in model.columns.items()
        if (name.lower() in together if together else _KEY.fullmatch(name))
        and name.lower() not in alone
        and not _may_be_time(column)
    ]
    sole_key = next((name for name in model.columns if name.lower() in alone), None)
    return Candidate(model, why, tuple(keys), _time(model), sole_key)


def _time(model: Model) -> str | None:
    """Return the column that looks like when a row became known."""
    if model.config.event_time in model.columns:
        return model.config.event_time
    times = [name for name, column in model.columns.items() if _may_be_time(column)]
    return max(times, key=lambda name: (name == "known_at", name.endswith("_at")), default=None)


def _may_be_time(column: Column) -> bool:
    if column.data_type:
        return column.data_type.lower().startswith(("timestamp", "datetime", "date"))
    return _TIME.fullmatch(column.name) is not None


def _judge(artifacts: Artifacts, found: list[Candidate]) -> Iterator[Candidate]:
    """Yield candidates with what the gate finds amiss in each, if it is declared as it looks."""
    declared = {one.model.unique_id: _declared(one) for one in found if one.is_suitable}
    graph = replace(artifacts.graph, models={**artifacts.graph.models, **declared})
    log = ProblemLog()
    project = declare(replace(artifacts, graph=graph), Release(), log)
    problems = list(log.problems)
    readiness = judge(Evidence(project), ProblemLog())
    by_id = {one.mart.unique_id: one for one in readiness}
    for one in found:
        stands = by_id.get(one.model.unique_id)
        if stands is None:
            yield one
            continue
        missing = [problem for problem in problems if _is_about(problem, stands.mart)]
        missing += _unstamped(artifacts.graph, stands.mart)
        for judgement in stands.judgements.values():
            if judgement.criterion is not PUBLISHED:
                name = judgement.criterion.name
                missing += [as_problem(stands.mart, name, each) for each in judgement.findings]
        yield replace(one, missing=tuple(missing))


def _unstamped(graph: Graph, mart: Mart) -> list[Problem]:
    """Say which first relations under a mart never say when their rows were known."""
    found: dict[str, None] = {}
    waiting = graph.relations_read(mart.unique_id)
    while waiting:
        name = waiting.pop(0)
        node = graph.relation(name)
        declared = node.config.meta.get("martfeast")
        is_timeless = isinstance(declared, dict) and "timeless" in declared
        is_snapshot = node.resource_type == "snapshot"  # which says it by its own columns
        if node.config.event_time or is_timeless or is_snapshot:
            continue
        parents = graph.relations_read(name)
        waiting += parents
        if not parents:
            found[node.alias] = None
    if not found:
        return []
    message = f"Nothing says when rows of {', '.join(found)} were known, so a replay shows nothing."
    fix = "Set event_time under config of the first models that read them, or of themselves."
    return [Problem(mart.name, "event-time-missing", message, fix)]


def _is_about(problem: Problem, mart: Mart) -> bool:
    return problem.subject == mart.name or problem.subject.startswith(f"{mart.name}.")


def _declared(one: Candidate) -> Model:
    """Return a candidate's model with the ``meta.feast`` that it looks like."""
    columns = {
        name: _with_feast(column, {"entity": entity_name(name)}) if name in one.keys else column
        for name, column in one.model.columns.items()
    }
    model = one.model.model_copy(update={"columns": columns})
    return _with_feast(model, {"timestamp": one.time})


def _with_feast(of: T, value: dict[str, object]) -> T:
    config = of.config.model_copy(update={"meta": {**of.config.meta, "feast": value}})
    return of.model_copy(update={"config": config})
