"""Marts as the site tells of them, from what was declared, judged, published and replayed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from martfeast.declaration.declared import Column, FeatureMart, LabelMart, Mart
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model, Source
from martfeast.gate.assess import Assessment
from martfeast.gate.criterion import FAIL, MartReadiness
from martfeast.published.release import PublishedVersion, Release
from martfeast.site.mart import (
    Declared,
    Feature,
    Judged,
    Kind,
    Label,
    Node,
    Proof,
    Published,
    Run,
    Standing,
    Use,
    View,
)
from martfeast.site.names import in_words, unit_of, window_of

Runs = Mapping[str, Sequence[Run]]


def read_views(
    assessment: Assessment, graph: Graph, releases: Sequence[Release], runs: Runs | None
) -> tuple[View, ...]:
    """Return every mart of a project, those of other projects that models use among them.

    Args:
        assessment: how the project stands.
        graph: of the project, with compiled SQL as far as there is any.
        releases: those at hand, the current one last.
        runs: by the mart's unique_id; None where the evidence cannot be read.

    """
    readers = _readers(assessment)
    nodes = _Nodes(assessment.project.artifacts, graph)
    return tuple(
        _view(assessment, readiness, releases, runs, nodes, readers)
        for readiness in assessment.readiness
    )


def _view(
    assessment: Assessment,
    readiness: MartReadiness,
    releases: Sequence[Release],
    runs: Runs | None,
    nodes: "_Nodes",
    readers: Mapping[str, Sequence[Use]],
) -> View:
    mart, artifacts = readiness.mart, assessment.project.artifacts
    kind: Kind = "labels" if isinstance(mart, LabelMart) else "features"
    uses = tuple(readers.get(mart.unique_id, ()))
    is_own = mart.unique_id in artifacts.graph.models
    return View(
        name=mart.name,
        unique_id=mart.unique_id,
        kind=kind,
        group=mart.group,
        declared=_declared(assessment, mart),
        standing=_standing(readiness, releases),
        features=tuple(
            _feature(mart.name, column, uses)
            for column in mart.columns
            if column.is_feature or (kind == "labels" and column.entity is None)
        ),
        published=_published(mart.version, artifacts) if mart.version else None,
        proof=_proof(readiness),
        runs=tuple(runs.get(mart.unique_id, ())) if runs is not None else None,
        nodes=nodes.upstream(mart.unique_id) if is_own else (),
        uses=uses,
    )


def _declared(assessment: Assessment, mart: Mart) -> Declared:
    shared = assessment.project.declaration.shared.get(mart.name)
    model = assessment.project.artifacts.graph.models.get(mart.unique_id)
    ttl = mart.ttl if isinstance(mart, FeatureMart) else None
    minutes = ttl.total_seconds() / 60 if ttl else None
    label = mart.label if isinstance(mart, LabelMart) else None
    return Declared(
        description=mart.description,
        entities=tuple((one.entity, one.name) for one in mart.columns if one.entity),
        timestamp=mart.timestamp,
        ttl=in_words(minutes) if minutes else "",
        ttl_minutes=minutes,
        is_online=isinstance(mart, FeatureMart) and mart.online,
        access=(model.sharing.access or "") if model else "public",
        deprecation_date=mart.deprecation_date[:10],
        project=shared.project if shared else "",
        label=Label(label.column, label.known_at, label.missing_reason or "", tuple(label.groups))
        if label
        else None,
    )


def _standing(readiness: MartReadiness, releases: Sequence[Release]) -> Standing:
    judged = tuple(
        Judged(
            name=name,
            question=one.criterion.question,
            sentence=one.criterion.sentence,
            state=one.state,
            findings=tuple(f"{found.message} {found.fix}" for found in one.findings),
            waiver=one.waiver,
        )
        for name, one in readiness.judgements.items()
    )
    since = None
    for release in reversed(releases):
        verdict = release.verdict(readiness.mart.unique_id)
        if verdict.version is None or verdict.held_back:
            break
        since = release
    is_since = since is not None and readiness.is_ready
    return Standing(
        is_ready=readiness.is_ready,
        reasons=tuple(found for one in judged if one.state == FAIL for found in one.findings),
        warnings=(*readiness.warnings, *readiness.noted),
        criteria=judged,
        since_release=since.number if since and is_since else 0,
        since=since.judged_at if since and is_since else "",
    )


def _published(version: PublishedVersion, artifacts: Artifacts) -> Published:
    sources = artifacts.graph.sources
    return Published(
        version=version.name,
        file=relative(version.path, artifacts.project_dir),
        rows=version.row_count,
        byte_count=version.file.byte_count,
        published_at=version.published_at.isoformat(),
        first_known_at=version.first_known_at or "",
        last_known_at=version.last_known_at or "",
        content_hash=version.content_hash,
        tests=len(version.tests),
        tests_passed=sum(status == "pass" for status, _ in version.tests.values()),
        sources=tuple(
            (
                sources[name].alias if name in sources else name.split(".", 2)[-1],
                loaded.isoformat(timespec="seconds") if loaded else None,
            )
            for name, loaded in sorted(version.sources.items())
        ),
    )


def _proof(readiness: MartReadiness) -> Proof | None:
    replay = readiness.replay
    if replay is None:
        return None
    return Proof(
        replayed_at=replay.replayed_at,
        moments=replay.cuts,
        asked=replay.asked,
        compared=replay.compared,
        withheld=replay.withheld,
        failure=replay.failure,
        warnings=tuple(replay.warnings),
        trusted=tuple(sorted(replay.trusted.items())),
        engine=replay.replayed_on if replay.replayed_on != replay.built_on else "",
    )


def _feature(view: str, column: Column, uses: Sequence[Use]) -> Feature:
    return Feature(
        view=view,
        name=column.name,
        type=str(column.type.name + " list" * column.type.is_list) if column.type else "",
        description=column.description,
        unit=unit_of(column.name),
        window=window_of(column.name),
        used_by=tuple(one for one in uses if column.name in one.features),
        is_profiled=column.is_profiled,
    )


def _readers(assessment: Assessment) -> dict[str, list[Use]]:
    """Return who reads each mart, by its unique_id: exposures first, then models of dbt."""
    found: dict[str, list[Use]] = {}
    graph, declaration = assessment.project.artifacts.graph, assessment.project.declaration
    by_unique_id = {one.unique_id: one for one in declaration.exposures.values()}
    sources = {one.source.unique_id: one.mart.unique_id for one in declaration.shared.values()}
    marts = {one.unique_id: one for one in declaration.marts.values()}
    for unique_id, node in sorted(graph.exposures.items()):
        declared = by_unique_id.get(unique_id)
        title = (declared and declared.title) or node.label or node.name.replace("_", " ")
        for name in node.depends_on.nodes:
            mart = marts.get(sources.get(name, name))
            if mart is None:
                continue
            features: list[str] = []
            if declared is not None:
                features = declared.features_by_mart.get(mart.name, [])
                if isinstance(mart, LabelMart) and mart is declared.label_mart:
                    features = mart.label.columns
            page = f"models/{declared.name}.html" if declared else ""
            kind = "model" if node.type == "ml" else node.type
            use = Use(node.name, title, kind, str(node.owner or ""), tuple(features), page)
            found.setdefault(mart.unique_id, []).append(use)
    for unique_id, model in sorted(graph.models.items()):
        for name in model.depends_on.nodes:
            if name in marts:
                page = _page(marts[unique_id]) if unique_id in marts else ""
                owner = graph.owner_of(model.sharing.group)
                kind = "mart" if unique_id in marts else f"dbt {model.resource_type}"
                use = Use(model.alias, model.alias, kind, owner, (), page)
                found.setdefault(name, []).append(use)
    return found


def _page(mart: Mart) -> str:
    return f"{'labels' if isinstance(mart, LabelMart) else 'features'}/{mart.name}.html"


class _Nodes:
    """The nodes of lineages, each made once."""

    def __init__(self, artifacts: Artifacts, graph: Graph) -> None:
        self.artifacts, self.graph = artifacts, graph
        self.known: dict[str, Node] = {}

    def upstream(self, unique_id: str) -> tuple[Node, ...]:
        """Return a mart's lineage, parents first, itself last."""
        return tuple(self._node(name) for name in self.graph.upstream(unique_id))

    def _node(self, unique_id: str) -> Node:
        if unique_id not in self.known:
            relation = self.graph.relation(unique_id)
            details: dict[str, Any] = {"kind": "source", "sql": "", "compiled": ""}
            if isinstance(relation, Model):
                details = {
                    "kind": relation.resource_type,
                    "sql": relation.code.raw.strip(),
                    "compiled": (relation.code.compiled or "").strip(),
                }
            parents = () if isinstance(relation, Source) else relation.depends_on.nodes
            self.known[unique_id] = Node(
                unique_id=unique_id,
                name=relation.alias,
                description=relation.description.strip(),
                file=self.artifacts.file_of_node(relation),
                parents=tuple(parents),
                **details,
            )
        return self.known[unique_id]


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder that it is in, or else as it is."""
    path, folder = path.resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
