"""Where features come from, column by column, as the site tells of it."""

from dataclasses import replace

from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model, Source
from martfeast.lineage.columns import ColumnLineage
from martfeast.lineage.traced import ColumnKey, Traced
from martfeast.site.mart import ColumnOf, Feature, Link, Trace, View


def compiled_graph(artifacts: Artifacts) -> Graph:
    """Return a project's graph with the SQL of each model as dbt compiled it last.

    It is the manifest's, or else that in dbt's target folder; a model that was never compiled has
    none.
    """
    graph = artifacts.graph
    models = {unique_id: _compiled(artifacts, model) for unique_id, model in graph.models.items()}
    return replace(graph, models=models)


def _compiled(artifacts: Artifacts, model: Model) -> Model:
    if model.code.compiled or model.resource_type == "seed":
        return model
    written = model.written
    folder = artifacts.target_path / "compiled" / written.package_name
    try:
        text = (folder / written.original_file_path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return model
    code = model.code.model_copy(update={"compiled": text})
    return model.model_copy(update={"code": code})


def with_traces(view: View, graph: Graph, lineage: ColumnLineage) -> View:
    """Return a view whose features say which columns they are computed of."""
    if view.unique_id not in graph.models or view.kind != "features":
        return view
    above = graph.upstream(view.unique_id)
    untraced = tuple(
        (graph.models[one].alias, lineage.untraced[one]) for one in above if one in lineage.untraced
    )
    features = (
        replace(one, trace=_trace(one, view, graph, lineage, untraced)) for one in view.features
    )
    return replace(view, features=tuple(features))


def _trace(
    feature: Feature,
    view: View,
    graph: Graph,
    lineage: ColumnLineage,
    untraced: tuple[tuple[str, str], ...],
) -> Trace:
    own = ColumnKey(view.unique_id, feature.name.lower())
    traced = lineage.traced(own)
    links = list(_links(graph, own, traced))
    for value in traced.values:
        nearer = lineage.traced(value)
        links += [_link(graph, value, one) for one in nearer.values]
    upstream = [own, *lineage.upstream(own)]
    sources = [one for one in upstream if one.unique_id in graph.sources]
    counted = {name for key in upstream for name in lineage.traced(key).counted}
    return Trace(
        links=tuple(dict.fromkeys(links)),
        sources=tuple(_column(graph, one) for one in sources),
        counted=tuple(sorted(graph.relation(name).alias for name in counted)),
        steps=tuple((step.name, step.sql) for step in traced.steps),
        untraced=untraced,
    )


def _links(graph: Graph, own: ColumnKey, traced: Traced) -> list[Link]:
    shaped = [one for one in traced.shaped_by if one[0] not in traced.values]
    return [_link(graph, own, one) for one in traced.values] + [
        _link(graph, own, key, how) for key, how in shaped
    ]


def _link(graph: Graph, end: ColumnKey, start: ColumnKey, how: str = "") -> Link:
    return Link(_column(graph, start), _column(graph, end), how)


def _column(graph: Graph, key: ColumnKey) -> ColumnOf:
    relation = graph.relation(key.unique_id)
    return ColumnOf(relation.alias, key.column, isinstance(relation, Source))
