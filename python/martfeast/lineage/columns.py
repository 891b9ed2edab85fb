"""A dbt project's columns: what each is computed of, and what is computed of it."""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlglot.dialects.dialect import Dialect

from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model
from martfeast.lineage.select import trace_select
from martfeast.lineage.traced import ColumnKey, Known, Traced, TracedSelect, Untraceable

# What dbt adds to the rows of a snapshot, and makes of the time at which it looks.
SNAPSHOT_COLUMNS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")
_DIALECTS = {"sqlserver": "tsql", "synapse": "tsql", "fabric": "fabric"}


@dataclass(frozen=True)
class ColumnLineage:
    """Where the columns of a project come from.

    columns: of each model, seed, snapshot and source, by unique_id and by name in lower case;
    those of seeds and sources are computed of nothing. selects: of each traced model, by unique_id.
    untraced: why the columns of a model could not be traced, by
    unique_id.
    """

    columns: Mapping[str, Mapping[str, Traced]]
    selects: Mapping[str, TracedSelect]
    untraced: Mapping[str, str]

    def upstream(self, key: ColumnKey) -> list[ColumnKey]:
        """Return the columns that a column is computed of, at any distance, the nearest first."""
        return self._reached(key, lambda one: self.traced(one).values)

    def downstream(self, key: ColumnKey) -> list[ColumnKey]:
        """Return the columns that are computed of a column, at any distance, the nearest first."""
        return self._reached(key, lambda one: self.read_by.get(one, ()))

    def shaped(self, key: ColumnKey) -> list[ColumnKey]:
        """Return the columns whose rows a column decides on, by a filter, a join or a group."""
        return list(self._shapes.get(key, ()))

    @cached_property
    def read_by(self) -> Mapping[ColumnKey, tuple[ColumnKey, ...]]:
        """The columns that are computed of each column, one step away."""
        return _reversed((key, traced.values) for key, traced in self._all())

    @cached_property
    def _shapes(self) -> Mapping[ColumnKey, tuple[ColumnKey, ...]]:
        return _reversed((key, [one for one, _ in of.shaped_by]) for key, of in self._all())

    def definition(self, key: ColumnKey) -> str:
        """Return a checksum of all that computes a column, from the sources on.

        '' where a model on the way could not be traced, or there is no such column: then nobody can
        say that it is as it was.
        """
        if key not in self._definitions:
            self._definitions[key] = "itself"  # which an incremental model reads
            traced = self.traced(key)
            above = [self.definition(one) for one in traced.values]
            above += [self.rows_definition(one) for one in traced.rows_of]
            is_there = key.column in self.columns.get(key.unique_id, ())
            is_known = is_there and key.unique_id not in self.untraced
            self._definitions[key] = _together([*key, traced.definition], above) if is_known else ""
        return self._definitions[key]

    def rows_definition(self, unique_id: str) -> str:
        """Return a checksum of all that decides which rows a relation has, from the sources on.

        '' where a model on the way could not be traced.
        """
        key = ColumnKey(unique_id, "")
        if key not in self._definitions:
            self._definitions[key] = "itself"
            select = self.selects.get(unique_id, TracedSelect({}, "", (), ()))
            above = [self.definition(one) for one in select.rows_by]
            above += [self.rows_definition(one) for one in select.rows_of]
            is_known = unique_id not in self.untraced
            self._definitions[key] = _together([unique_id, select.rows], above) if is_known else ""
        return self._definitions[key]

    @cached_property
    def _definitions(self) -> dict[ColumnKey, str]:
        return {}

    def traced(self, key: ColumnKey) -> Traced:
        """Return what is known of a column; of one that is not there, nothing."""
        return self.columns.get(key.unique_id, {}).get(key.column, Traced())

    def _all(self) -> Iterator[tuple[ColumnKey, Traced]]:
        for unique_id, columns in self.columns.items():
            yield from ((ColumnKey(unique_id, name), traced) for name, traced in columns.items())

    def _reached(
        self, key: ColumnKey, next_to: Callable[[ColumnKey], Iterable[ColumnKey]]
    ) -> list[ColumnKey]:
        found: dict[ColumnKey, None] = {}
        waiting = [key]
        while waiting:
            near = [one for at in waiting for one in next_to(at) if one not in found]
            found.update(dict.fromkeys(near))
            waiting = list(dict.fromkeys(near))
        found.pop(key, None)
        return list(found)


def column_called(graph: Graph, key: ColumnKey) -> str:
    """Return what a column is called: its relation and its name, joined by a dot."""
    return f"{graph.relation(key.unique_id).alias}.{key.column}"


def trace_columns(graph: Graph) -> ColumnLineage:
    """Trace the columns of all models of a project, by their compiled SQL.

    Args:
        graph: of a manifest that dbt compiled. A model without compiled SQL is untraced.

    """
    columns: dict[str, Mapping[str, Traced]] = {}
    selects: dict[str, TracedSelect] = {}
    untraced: dict[str, str] = {}
    for unique_id, source in graph.sources.items():
        columns[unique_id] = _described(source.columns)
    dialect = dialect_of(graph.adapter_type)
    for unique_id in _parents_first(graph):
        model = graph.models[unique_id]
        if model.resource_type == "seed":
            columns[unique_id] = _described(model.columns)
            continue
        try:
            traced = trace_select(
                _compiled(model), dialect, _relations_of(graph, model, columns, selects)
            )
        except Untraceable as error:
            untraced[unique_id] = str(error)
            columns[unique_id] = _described(model.columns)
            continue
        columns[unique_id], selects[unique_id] = traced.columns, traced
        if model.resource_type == "snapshot":
            added = [model.config.column(name) for name in SNAPSHOT_COLUMNS]
            columns[unique_id] = {**_described(added), **traced.columns}
    _add_undescribed(columns)
    return ColumnLineage(columns, selects, untraced)


def dialect_of(adapter_type: str) -> str:
    """Return sqlglot's name of the dialect of a dbt adapter; '' where sqlglot has none."""
    name = _DIALECTS.get(adapter_type, adapter_type)
    return name if Dialect.get(name) else ""


def _compiled(model: Model) -> str:
    if model.code.language != "sql":
        raise Untraceable(f"it is written in {model.code.language}, and not in SQL")
    if not model.code.compiled:
        raise Untraceable("dbt has not compiled it: run `dbt compile --full-refresh`")
    return model.code.compiled


def _relations_of(
    graph: Graph,
    model: Model,
    columns: Mapping[str, Mapping[str, Traced]],
    traced: Container[str],
) -> dict[str, Known]:
    """Return what a model may read, by what its SQL calls that, itself included."""
    found: dict[str, Known] = {}
    for unique_id in (*graph.relations_read(model.unique_id), model.unique_id):
        relation = graph.relation(unique_id)
        listed = list(columns.get(unique_id) or _described(relation.columns))
        # YAML may describe a part; of a model that was traced, and of a contract, all is known.
        is_traced = unique_id in traced or _is_contract(relation)
        if relation.relation.sql:
            found[relation.relation.sql] = Known(unique_id, listed or None, is_traced)
    return found


def _together(own: list[str], above: list[str]) -> str:
    """Return a checksum of what something is and of what it is made of; '' if that is not known."""
    if not all(above):
        return ""
    return hashlib.sha256("\0".join([*own, *above]).encode()).hexdigest()


def _add_undescribed(columns: dict[str, Mapping[str, Traced]]) -> None:
    """Add the columns of seeds and sources that SQL reads and YAML does not describe."""
    read = {key for of in columns.values() for traced in of.values() for key in traced.values}
    for unique_id, column in sorted(read):
        if column not in columns[unique_id]:
            columns[unique_id] = {**columns[unique_id], column: Traced()}


def _is_contract(relation: object) -> bool:
    return isinstance(relation, Model) and relation.config.is_contract_enforced


def _described(names: Iterable[str]) -> dict[str, Traced]:
    return {name.lower(): Traced() for name in names}


def _parents_first(graph: Graph) -> list[str]:
    found: dict[str, None] = {}
    for unique_id in graph.models:
        if unique_id not in found:
            found.update(
                dict.fromkeys(one for one in graph.upstream(unique_id) if one in graph.models)
            )
    return list(found)


def _reversed(
    edges: Iterable[tuple[ColumnKey, Iterable[ColumnKey]]],
) -> dict[ColumnKey, tuple[ColumnKey, ...]]:
    found: dict[ColumnKey, list[ColumnKey]] = {}
    for key, values in edges:
        for value in values:
            found.setdefault(value, []).append(key)
    return {value: tuple(dict.fromkeys(keys)) for value, keys in found.items()}
