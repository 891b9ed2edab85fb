"""The assets and checks of a project beyond dbt's own, and where each stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from martfeast.declaration.declared import Exposure, Mart
from martfeast.orchestration.dagster.translator import (
    ProjectTranslator,
    as_name,
    days_of,
    node_specs,
    source_specs,
    test_specs,
)
from martfeast.orchestration.steps import Steps

RELEASED, FEATURE_VIEW, ONLINE, DATASET = "released", "feature_views", "online", "datasets"
REPLAY, GATE = "replay", "gate"


@dataclass(frozen=True)
class Layout:
    """The assets and checks of a project.

    nodes, sources: assets by unique_id. tests: checks by unique_id. released, feature_views,
    online: assets by mart. datasets: assets by exposure. replay, gate: checks by mart. days: the
    partitions of what is made by ranges; None if nothing is.
    """

    steps: Steps
    translator: ProjectTranslator
    days: dg.DailyPartitionsDefinition | None
    nodes: dict[str, dg.AssetSpec]
    sources: dict[str, dg.AssetSpec]
    tests: dict[str, dg.AssetCheckSpec]
    released: dict[str, dg.AssetSpec]
    feature_views: dict[str, dg.AssetSpec]
    online: dict[str, dg.AssetSpec]
    datasets: dict[str, dg.AssetSpec]
    replay: dict[str, dg.AssetCheckSpec]
    gate: dict[str, dg.AssetCheckSpec]

    @property
    def specs(self) -> list[dg.AssetSpec]:
        """All assets that a run makes; parents come first."""
        mine = (self.released, self.feature_views, self.online, self.datasets)
        return [*self.nodes.values(), *(spec for kind in mine for spec in kind.values())]

    @property
    def check_specs(self) -> list[dg.AssetCheckSpec]:
        """All checks that a run makes."""
        return [*self.tests.values(), *self.replay.values(), *self.gate.values()]


def lay_out(steps: Steps) -> Layout:
    """Return the assets and checks of a project."""
    days = days_of(steps)
    translator = ProjectTranslator(steps, days)
    nodes, sources = node_specs(steps, translator), source_specs(steps, translator)
    made = _Maker(steps, nodes)
    released = {name: made.released(mart) for name, mart in steps.marts.items()}
    # What another project shares is published there, and is a source here.
    shared = steps.project.declaration.shared
    above = {**released, **{name: sources[one.source.unique_id] for name, one in shared.items()}}
    views = {
        name: made.feature_view(mart, above[name]) for name, mart in steps.feature_marts.items()
    }
    exposures = steps.project.declaration.exposures
    return Layout(
        steps,
        translator,
        days,
        nodes,
        sources,
        test_specs(steps, {**nodes, **sources}),
        released,
        views,
        {name: made.online(steps.feature_marts[name], views[name]) for name in steps.online_views},
        {name: made.dataset(exposures[name], above, views) for name in steps.datasets},
        {name: _check(REPLAY, spec, _REPLAYED) for name, spec in released.items()},
        {name: _check(GATE, spec, _READY) for name, spec in released.items()},
    )


_REPLAYED = "Built again as of past moments, it never knew the future."
_READY = "It meets the criteria on recorded evidence; all marts must, before feast apply."


def _check(name: str, spec: dg.AssetSpec, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=spec.key, description=description, blocking=True)


class _Maker:
    def __init__(self, steps: Steps, nodes: Mapping[str, dg.AssetSpec]) -> None:
        self.steps = steps
        self.nodes = nodes

    def released(self, mart: Mart) -> dg.AssetSpec:
        node = self.nodes[mart.unique_id]
        text = f"The version of {mart.name} that is published, once tests vouch for it."
        return self._spec(RELEASED, mart.name, text, [node.key], node, {"parquet"})

    def feature_view(self, mart: Mart, released: dg.AssetSpec) -> dg.AssetSpec:
        tags = {"feast_project": as_name(self.steps.name)}
        return self._spec(
            FEATURE_VIEW, mart.name, mart.description, [released.key], released, {"feast"}, tags
        )

    def online(self, mart: Mart, view: dg.AssetSpec) -> dg.AssetSpec:
        text = f"The latest row of each key of {mart.name} in the online store."
        return self._spec(ONLINE, mart.name, text, [view.key], view, {"feast"})

    def dataset(
        self,
        exposure: Exposure,
        above: Mapping[str, dg.AssetSpec],
        views: Mapping[str, dg.AssetSpec],
    ) -> dg.AssetSpec:
        assert exposure.label_mart is not None, f"{exposure.name} has no label"
        deps = [views[name].key for name in exposure.features_by_mart if name in views]
        label = above[exposure.label_mart.name]
        deps.append(label.key)
        text = f"The training set of {exposure.title or exposure.name}. {exposure.description}"
        return self._spec(DATASET, exposure.name, text, deps, label, {"parquet"})

    def _spec(
        self,
        kind: str,
        name: str,
        description: str,
        deps: Iterable[dg.AssetKey],
        like: dg.AssetSpec,
        kinds: set[str],
        tags: Mapping[str, Any] | None = None,
    ) -> dg.AssetSpec:
        return dg.AssetSpec(
            [kind, name],
            deps=list(deps),
            description=description,
            group_name=like.group_name,
            owners=like.owners,
            kinds={"martfeast", *kinds},
            tags=tags,
            skippable=True,
        )
