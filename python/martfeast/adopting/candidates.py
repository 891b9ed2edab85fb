"""Models that could be marts, and what the gate would say of each if it were declared now."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeVar

from martfeast.declaration.declared import Mart
from martfeast.declaration.project import declare
from martfeast.feature_types import ENTITY_TYPES, TIMESTAMP, feature_type
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Column, Model, feast_meta
from martfeast.gate.criteria import PUBLISHED
from martfeast.gate.criteria.quality import UNIQUENESS_TESTS
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

    why: what makes it look like one. keys: the columns that look like join keys. time: the column
    that looks like when a row became known; None if none does.
    missing: what the gate would find amiss if it were declared with these; builds and replays,
    which come after, are left out. Without a key or a time, nothing was asked.
    """

    model: Model
    why: str
    keys: tuple[str, ...]
    time: str | None
    missing: tuple[Problem, ...] = ()

    @property
    def is_suitable(self) -> bool:
        """Whether it has what a feature view cannot be without."""
        return bool(self.keys and self.time)


def find_candidates(artifacts: Artifacts) -> list[Candidate]:
    """Return the models of a project that could be marts and are not, the readiest first.

    They are tables and incremental models that are in a folder ``marts``, or that no other model
    reads. The gate itself says what is missing for each: it judges the project as if the model had
    ``meta.feast``.
    """
    graph = artifacts.graph
    found = [
        Candidate(model, why, tuple(_keys(graph, model)), _time(model))
        for model in graph.models.values()
        for why in [_why(graph, model)]
        if why
    ]
    judged = _judge(artifacts, found)
    return sorted(judged, key=lambda one: (not one.is_suitable, len(one.missing), one.model.alias))


def _why(graph: Graph, model: Model) -> str:
    """Return what makes a model look like a mart; '' if nothing does."""
    is_table = model.config.materialized in ("table", "incremental")
    is_own = model.written.package_name == graph.project_name
    if model.resource_type != "model" or not is_table or not is_own or feast_meta(model)[0]:
        return ""
    what = "a table" if model.config.materialized == "table" else "an incremental model"
    if "marts" in PurePosixPath(model.written.original_file_path).parts[:-1]:
        return f"{what} under marts/"
    if any(model.unique_id in one.depends_on.nodes for one in graph.models.values()):
        return ""
    return f"{what} that no other model reads"


def _keys(graph: Graph, model: Model) -> Iterator[str]:
    """Yield the columns that look like keys: by a test of uniqueness, or else by their name."""
    columns = {name.lower(): name for name in model.columns}
    for test in graph.generic_tests_on(model.unique_id):
        generic = test.generic
        listed = generic.arguments.get(UNIQUENESS_TESTS.get(generic.name, "")) if generic else None
        if listed:
            names = [
                str(name).lower() for name in (listed if isinstance(listed, list) else [listed])
            ]
            named = [columns[name] for name in names if name in columns]
            keys = [name for name in named if not _may_be_time(model.columns[name])]
            if keys and len(named) > 1:
                yield from keys
                return
    yield from (name for name in model.columns if _KEY.fullmatch(name) and _may_be_key(model, name))


def _may_be_key(model: Model, name: str) -> bool:
    type_ = model.columns[name].data_type
    return not type_ or feature_type(type_) in ENTITY_TYPES


def _time(model: Model) -> str | None:
    """Return the column that looks like when a row became known."""
    if model.config.event_time in model.columns:
        return model.config.event_time
    times = [name for name, column in model.columns.items() if _may_be_time(column)]
    return max(times, key=lambda name: (name == "known_at", name.endswith("_at")), default=None)


def _may_be_time(column: Column) -> bool:
    if column.data_type:
        return feature_type(column.data_type) == TIMESTAMP
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
        for judgement in stands.judgements.values():
            if judgement.criterion is not PUBLISHED:
                name = judgement.criterion.name
                missing += [as_problem(stands.mart, name, each) for each in judgement.findings]
        yield replace(one, missing=tuple(missing))


def _is_about(problem: Problem, mart: Mart) -> bool:
    return problem.subject == mart.name or problem.subject.startswith(f"{mart.name}.")


def _declared(one: Candidate) -> Model:
    """Return a candidate's model with the ``meta.feast`` that it looks like."""
    columns = {
        name: _with_feast(column, {"entity": entity_name(name)}) if name in one.keys else column
        for name, column in one.model.columns.items()
    }
    model = _with_feast(one.model, {"timestamp": one.time})
    return model.model_copy(update={"columns": columns})


def _with_feast(of: T, value: dict[str, object]) -> T:
    config = of.config.model_copy(update={"meta": {**of.config.meta, "feast": value}})
    return of.model_copy(update={"config": config})


def entity_name(column: str) -> str:
    """Return what the entity of a key column is best called."""
    return re.sub(r"_(?:id|key|code|number|no)$", "", column, flags=re.IGNORECASE)
