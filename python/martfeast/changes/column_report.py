"""Where one column comes from and what is made of it, for people and for programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from martfeast.declaration.declared import FeatureMart
from martfeast.declaration.project import Project, read_project
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.from_dbt.graph import Graph
from martfeast.lineage.columns import ColumnLineage, column_called, trace_columns
from martfeast.lineage.traced import ColumnKey
from martfeast.problems import did_you_mean, refusal

INDENT = "  "


@dataclass(frozen=True)
class TracedProject:
    """A project, and the lineage of its columns."""

    project: Project
    graph: Graph
    lineage: ColumnLineage

    def called(self, key: ColumnKey) -> str:
        """Return what a column is called, for people."""
        return column_called(self.graph, key)

    def untraced_above(self, unique_id: str) -> dict[str, str]:
        """Return why models that a relation is made of could not be traced, itself included."""
        above = self.graph.upstream(unique_id)
        untraced = self.lineage.untraced
        return {self.graph.models[one].alias: untraced[one] for one in above if one in untraced}

    def untraced_below(self, unique_id: str) -> dict[str, str]:
        """Return why models that are made of a relation could not be traced."""
        return {
            self.graph.models[one].alias: why
            for one, why in self.lineage.untraced.items()
            if one != unique_id and unique_id in self.graph.upstream(one)
        }


def trace_project(dbt_project: ProjectLike) -> TracedProject:
    """Read a project, and trace its columns; dbt compiles it if the last command did not.

    Raises:
        DeclarationError: the project cannot be read, or dbt cannot compile it.

    """
    project = read_project(dbt_project)
    graph = project.artifacts.graph
    if any(not one.code.compiled for one in graph.models.values() if one.resource_type != "seed"):
        from martfeast.replay.compiled import compile_project

        graph = compile_project(project.artifacts).built
    return TracedProject(project, graph, trace_columns(graph))


def find_column(traced: TracedProject, name: str) -> ColumnKey:
    """Return the column of ``<model>.<column>`` or ``<source>.<table>.<column>``.

    Raises:
        DeclarationError: there is no such relation, or it has no such column.

    """
    relations = {
        one.alias.lower(): unique_id
        for unique_id, one in [*traced.graph.models.items(), *traced.graph.sources.items()]
        if unique_id in traced.lineage.columns
    }
    relation, _, column = name.lower().rpartition(".")
    if relation not in relations:
        advice = did_you_mean(
            relation or name, relations, "Write <model>.<column>, or <source>.<table>.<column>."
        )
        message = f"There is no model or source {relation}." if relation else "It is no column."
        raise refusal(name, "column-unknown", message, advice)
    key = ColumnKey(relations[relation], column)
    columns = traced.lineage.columns[key.unique_id]
    if column not in columns:
        listed = ", ".join(columns) or "not known"
        advice = did_you_mean(column, columns, f"Its columns are {listed}.")
        raise refusal(name, "column-unknown", f"{relation} has no column {column}.", advice)
    return key


def column_json(traced: TracedProject, key: ColumnKey) -> dict[str, Any]:
    """Return all that is known of where a column comes from, and of what is made of it."""
    lineage, found = traced.lineage, traced.lineage.traced(key)
    touched = [key, *lineage.downstream(key)]
    return {
        "column": traced.called(key),
        "relation": key.unique_id,
        "how": found.how if key.unique_id in lineage.selects else None,
        "sql": [{"cte": step.name, "expression": step.sql} for step in found.steps],
        "made_of": [traced.called(one) for one in found.values],
        "upstream": [traced.called(one) for one in lineage.upstream(key)],
        "counts_rows_of": [traced.graph.relation(one).alias for one in found.counted],
        "rows_by": [{"column": traced.called(one), "how": how} for one, how in found.shaped_by],
        "feeds": [traced.called(one) for one in lineage.read_by.get(key, ())],
        "downstream": [traced.called(one) for one in touched[1:]],
        "decides_rows_of": [traced.called(one) for one in lineage.shaped(key)],
        "features": [f"{mart}:{name}" for mart, name in features_among(traced.project, touched)],
        "exposures": exposures_of(traced.project, touched),
        "untraced_upstream": traced.untraced_above(key.unique_id),
        "untraced_downstream": traced.untraced_below(key.unique_id),
    }


def column_report(traced: TracedProject, key: ColumnKey) -> str:
    """Return the same as text: what it is made of, what decides on its rows, what it feeds."""
    said, lineage = column_json(traced, key), traced.lineage
    lines = [said["column"]]
    described = traced.graph.relation(key.unique_id).columns.get(key.column)
    if described and described.description:
        lines.append(INDENT + " ".join(described.description.split()))
    for step in said["sql"]:
        lines.append(f"{INDENT}{step['cte'] or key.column} = {step['expression']}")
    if key.unique_id in lineage.selects:
        lines += ["made of", *_tree(traced, key)]
    lines += _listed("counts rows of", said["counts_rows_of"])
    rows_by: dict[str, list[str]] = {one["column"]: [] for one in said["rows_by"]}
    for one in said["rows_by"]:
        rows_by[one["column"]].append(one["how"])
    lines += _listed(
        "which rows, is decided by", [f"{name} ({', '.join(how)})" for name, how in rows_by.items()]
    )
    lines += _listed("feeds", said["downstream"])
    lines += _listed("decides which rows there are of", said["decides_rows_of"])
    lines += _listed("features", said["features"])
    lines += _listed("exposures", said["exposures"])
    for where in ("upstream", "downstream"):
        unknown = [f"{name}: {why}" for name, why in said[f"untraced_{where}"].items()]
        lines += _listed(f"not known {where}, because these could not be traced", unknown)
    return "\n".join(lines)


def features_among(project: Project, keys: Iterable[ColumnKey]) -> list[tuple[str, str]]:
    """Return which columns are features: the mart and the feature, in the contract's order."""
    wanted = {(key.unique_id, key.column) for key in keys}
    return [
        (mart.name, feature)
        for mart in project.declaration.marts.values()
        if isinstance(mart, FeatureMart)
        for feature in mart.features
        if (mart.unique_id, feature.lower()) in wanted
    ]


def exposures_of(project: Project, keys: Iterable[ColumnKey]) -> list[str]:
    """Return the exposures with one of the columns as a feature, or with labels of its relation."""
    keys = list(keys)
    features = set(features_among(project, keys))
    relations = {key.unique_id for key in keys}
    return [
        name
        for name, exposure in project.declaration.exposures.items()
        if any(
            (mart, one) in features for mart, of in exposure.features_by_mart.items() for one in of
        )
        or (exposure.label_mart is not None and exposure.label_mart.unique_id in relations)
    ]


def _listed(title: str, names: list[str]) -> list[str]:
    return [title, *(INDENT + name for name in names)] if names else []


def _tree(traced: TracedProject, key: ColumnKey) -> list[str]:
    """Return the columns above one, each under what is made of it; one that came before once."""
    lines, seen, of = [], set(), traced.lineage.traced

    def add(above: ColumnKey, depth: int) -> None:
        for one in of(above).values:
            again = one in seen and bool(of(one).values)
            counted = [traced.graph.relation(name).alias for name in of(one).counted]
            note = f" (counts rows of {', '.join(counted)})" if counted else ""
            note += " (see above)" if again else ""
            lines.append(f"{INDENT * depth}{traced.called(one)}{note}")
            if one not in seen:
                seen.add(one)
                add(one, depth + 1)

    add(key, 1)
    return lines or [f"{INDENT}no column: its value is the same in each row, or counts rows"]
