"""``feast apply`` as events: files to feature views, and feature views to feature services.

Jobs and data sets are named as in Feast's own events. Those have one job for all views, in which
every source feeds every view; here each view has a job of its own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent, RunState

from martfeast.lineage.columns import trace_columns
from martfeast.openlineage.facets import (
    copied_columns,
    documented,
    mart_columns,
    owned,
    published_file,
    same_columns,
)
from martfeast.openlineage.naming import Name, feast_namespace, file
from martfeast.openlineage.publications import publish_events
from martfeast.openlineage.runs import happened

if TYPE_CHECKING:
    from martfeast.declaration.declared import Exposure, FeatureMart
    from martfeast.gate.assess import Assessment
    from martfeast.to_feast.expose import Exposed


def apply_events(exposed: "Exposed") -> Iterator[RunEvent]:
    """Yield what the release tells, so that no path has a hole, and that it was applied now."""
    assessment = exposed.assessment
    declaration = assessment.project.declaration
    yield from publish_events(assessment, trace_columns(assessment.project.artifacts.graph))
    if exposed.feature_repo is None:
        return
    namespace, now = feast_namespace(exposed.feature_repo.config()), datetime.now(UTC)
    for mart in declaration.feature_marts.values():
        yield from _view_events(assessment, mart, namespace, now)
    for exposure in declaration.exposures.values():
        yield from _service_events(exposure, namespace, now)


def _view_events(
    assessment: "Assessment", mart: "FeatureMart", namespace: str, now: datetime
) -> Iterator[RunEvent]:
    name, graph = file(mart.path), assessment.project.artifacts.graph
    assert mart.version is not None  # the gate has seen to it
    replays = {one.mart.name: one.replay for one in assessment.readiness}
    columns = [one for one in mart.columns if one.is_feature or one.entity is not None]
    facets = {
        **documented(mart.description),
        **mart_columns(columns),
        **owned(mart.group, mart.owner),
        **same_columns([one.name for one in columns], name),
    }
    yield from happened(
        RunState.COMPLETE,
        Name(namespace, f"feature_view_{mart.name}"),
        "apply",
        str(uuid4()),
        now,
        [published_file(graph, mart, name, mart.version, replays.get(mart.name))],
        [OutputDataset(namespace=namespace, name=mart.name, facets=facets)],
    )


def _service_events(exposure: "Exposure", namespace: str, now: datetime) -> Iterator[RunEvent]:
    taken = {
        feature: [(Name(namespace, mart), feature)]
        for mart, features in exposure.features_by_mart.items()
        for feature in features
    }
    facets = {
        **documented(exposure.description),
        **owned("", exposure.owner),
        **copied_columns(taken),
    }
    yield from happened(
        RunState.COMPLETE,
        Name(namespace, f"feature_service_{exposure.name}"),
        "apply",
        str(uuid4()),
        now,
        [InputDataset(namespace=namespace, name=mart) for mart in exposure.features_by_mart],
        [OutputDataset(namespace=namespace, name=exposure.name, facets=facets)],
    )
