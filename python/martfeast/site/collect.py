"""Reads a project, and all that was recorded of it, into the catalog."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from martfeast.datasets.folder import CARD, find_datasets
from martfeast.datasets.record import DatasetRecord
from martfeast.declaration.declared import Exposure
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.gate.assess import Assessment
from martfeast.lineage.columns import ColumnLineage
from martfeast.published.release import Release, release_files
from martfeast.records import RecordError
from martfeast.site.catalog import (
    Catalog,
    Dataset,
    Entity,
    Metric,
    Model,
    Neighbours,
    Owner,
    Released,
    ReleasedMart,
)
from martfeast.site.mart import Drift, Feature, View
from martfeast.site.names import slug, title_of
from martfeast.site.origins import with_traces
from martfeast.site.views import Runs, read_views


def collect(
    assessment: Assessment,
    runs: Runs | None = None,
    neighbours: Neighbours | None = None,
    traced: tuple[Graph, ColumnLineage] | None = None,
) -> Catalog:
    """Return the catalog of a project.

    Args:
        assessment: how the project stands before the gate.
        runs: the last dbt runs of each mart, by its unique_id; None where nobody can read them.
        neighbours: addresses of dbt's docs and Feast's UI.
        traced: the graph with compiled SQL, and the lineage of its columns; None to leave it out.

    Raises:
        DeclarationError: a dataset's record is damaged.

    """
    project = assessment.project
    artifacts, declaration = project.artifacts, project.declaration
    graph = traced[0] if traced else artifacts.graph
    releases = _releases(artifacts.published_path, project.release)
    models = tuple(_model(one, artifacts) for one in declaration.exposures.values())
    models = tuple(sorted(models, key=lambda model: model.name))
    views = tuple(
        _with_drift(view, models) for view in read_views(assessment, graph, releases, runs)
    )
    if traced:
        views = tuple(with_traces(view, *traced) for view in views)
    return Catalog(
        project=artifacts.graph.project_name,
        release=project.release.number,
        as_of=project.release.judged_at,
        views=views,
        entities=_entities(views),
        models=models,
        owners=_owners(artifacts, views, models),
        metrics=_metrics(artifacts),
        releases=tuple(_released(releases)),
        problems=tuple(f"{one.subject}: {one.message} {one.fix}" for one in assessment.problems),
        neighbours=neighbours or Neighbours(),
    )


def _releases(published_path: Path, current: Release) -> list[Release]:
    """Return the releases at hand up to the current one; those that cannot be read are left out."""
    found = []
    for file in release_files(published_path):
        if int(file.stem) >= current.number:
            break
        try:
            found.append(Release.read(file, published_path))
        except (RecordError, FileNotFoundError):
            continue
    return [*found, current] if current.number else found


def _released(releases: Sequence[Release]) -> Iterable[Released]:
    before: dict[str, str] | None = None
    for release in releases:
        marts = []
        now = {}
        for verdict in sorted(release.marts, key=lambda one: one.mart):
            version = verdict.version.name if verdict.version else ""
            now[verdict.mart] = version
            earlier = (before or {}).get(verdict.mart)
            change = "same" if version == earlier else "changed"
            if verdict.held_back:
                change = "held back"
            elif not earlier:
                change = "new" if before is not None else "first at hand"
            rows = verdict.version.row_count if verdict.version else 0
            marts.append(
                ReleasedMart(verdict.mart, version, rows, change, tuple(verdict.held_back))
            )
        marts += [
            ReleasedMart(name, "", 0, "gone", ()) for name in sorted(set(before or {}) - set(now))
        ]
        yield Released(
            number=release.number,
            judged_at=release.judged_at,
            judged_by=release.judged_by,
            target=release.target,
            engine=release.engine,
            marts=tuple(marts),
        )
        before = now


def _model(exposure: Exposure, artifacts: Artifacts) -> Model:
    node = artifacts.graph.exposures[exposure.unique_id]
    name = (node.owner.name if node.owner else "") or exposure.owner
    return Model(
        name=exposure.name,
        title=exposure.title,
        description=exposure.description,
        owner=exposure.owner,
        owner_name=name,
        maturity=exposure.maturity,
        url=exposure.url if exposure.url.startswith(("https://", "http://")) else "",
        features=tuple((mart, tuple(names)) for mart, names in exposure.features_by_mart.items()),
        label=exposure.label_mart.name if exposure.label_mart else "",
        datasets=tuple(
            _dataset(folder, record)
            for folder, record in find_datasets(artifacts.datasets_path / exposure.name)
        ),
    )


def _dataset(folder: Path, record: DatasetRecord) -> Dataset:
    card = folder / CARD
    return Dataset(
        model=record.name,
        number=record.number,
        saved_dataset=record.saved_dataset,
        created_at=record.created_at,
        rows=record.file.rows,
        features=sum(column.role == "feature" for column in record.columns),
        label=record.inputs.label,
        asked_from=record.inputs.from_,
        asked_until=record.inputs.until,
        limits=tuple(record.limits),
        drifts=tuple((one.column, one.psi, one.reading) for one in record.drift.features)
        if record.drift
        else (),
        card=card.read_text(encoding="utf-8") if card.exists() else "",
    )


def _with_drift(view: View, models: Sequence[Model]) -> View:
    """Return a view whose features say how they moved in each model's newest dataset."""
    if view.kind != "features":
        return view

    def drifts(feature: Feature) -> Iterable[Drift]:
        for model in models:
            if not model.datasets or feature.name not in dict(model.features).get(view.name, ()):
                continue
            newest = model.datasets[-1]
            for column, psi, reading in newest.drifts:
                if column == feature.name:
                    yield Drift(newest.saved_dataset, newest.page, psi, reading)

    features = tuple(replace(one, drifts=tuple(drifts(one))) for one in view.features)
    return replace(view, features=features)


def _entities(views: Sequence[View]) -> tuple[Entity, ...]:
    keys: dict[str, dict[str, None]] = {}
    by_entity: dict[str, list[str]] = {}
    for view in views:
        for entity, key in view.declared.entities:
            keys.setdefault(entity, {})[key] = None
            if view.name not in by_entity.setdefault(entity, []):
                by_entity[entity].append(view.name)
    return tuple(Entity(name, tuple(keys[name]), tuple(by_entity[name])) for name in sorted(keys))


def _owners(
    artifacts: Artifacts, views: Sequence[View], models: Sequence[Model]
) -> tuple[Owner, ...]:
    """Return the groups, and beside them who owns exposures and is no group."""
    found: dict[str, Owner] = {}
    for group in sorted(artifacts.graph.groups.values(), key=lambda one: one.name):
        owned = tuple(view.name for view in views if view.group == group.name)
        name = group.owner.name if group.owner and group.owner.name else title_of(group.name)
        email = _email(str(group.owner or ""))
        found[group.name] = Owner(slug(group.name), name, email, group.name, owned)
    for model in models:
        mine = next(
            (
                key
                for key, one in found.items()
                if model.owner in (one.email, one.title) or model.owner_name == one.title
            ),
            None,
        )
        if mine is None:
            mine = model.owner_name or model.owner or "nobody"
            title = mine if mine != "nobody" else "Nobody is named"
            found[mine] = Owner(slug(mine), title, _email(model.owner))
        found[mine] = replace(found[mine], models=(*found[mine].models, model.name))
    return tuple(found[name] for name in sorted(found))


def _email(owner: str) -> str:
    return owner if re.fullmatch(r"[^@\s]+@[^@\s]+", owner) else ""


def _metrics(artifacts: Artifacts) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            name=one.name,
            title=one.label or title_of(one.name),
            description=one.description.strip(),
            kind=one.type,
            made_of=one.made_of,
        )
        for _, one in sorted(artifacts.graph.metrics.items())
    )
