"""``feast apply`` as events: files to feature views, and feature views to feature services.

Jobs and data sets are named as in Feast's own events. Those have one job for all views, in which
every source feeds every view; here each view has a job of its own.
"""

import sys
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.openlineage.sending import Sender
from martfeast.to_feast.expose import Exposed
from martfeast.to_feast.expose import expose as expose_objects

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent


def expose(
    namespace: MutableMapping[str, object],
    dbt_project: ProjectLike,
    target_path: str | None = None,
) -> None:
    """Put a dbt project's Feast objects into a module, where ``feast apply`` finds them.

    This is the gate: unless every mart is ready, nothing is put there and Feast stops. Under
    ``feast apply`` it also locks the registry until the process ends, because Feast reads the whole
    registry file and writes it back: of two applies at once the later would undo the earlier. Once
    it has applied, that is told to OpenLineage, if that is set up.

    Args:
        namespace: the module's ``globals()``.
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: dbt's target folder, if it is not the project's usual one.

    Raises:
        SystemExit: the declaration has problems or marts are not ready; the report is printed, and
            the code is that of its cause. Feast then stops before it touches the registry.

    """
    exposed = expose_objects(namespace, dbt_project, target_path)
    context = click.get_current_context(silent=True)
    sender = Sender()
    if not sender.is_on or context is None or context.info_name != "apply":
        return

    def applied() -> None:
        if sys.exc_info()[0] is None:
            sender.send(lambda: apply_events(exposed))

    context.call_on_close(applied)


def apply_events(exposed: Exposed) -> "Iterator[RunEvent]":
    """Yield what the release tells, so that no path has a hole, and that it was applied now."""
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState

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

    project = exposed.assessment.project
    declaration, graph = project.declaration, project.artifacts.graph
    yield from publish_events(exposed.assessment, trace_columns(graph))
    if exposed.feature_repo is None:
        return
    namespace = feast_namespace(exposed.feature_repo.config())
    replays = {one.mart.name: one.replay for one in exposed.assessment.readiness}
    now = datetime.now(UTC)
    for mart in declaration.feature_marts.values():
        name = file(mart.path)
        assert mart.version is not None  # the gate has seen to it
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
    for one in declaration.exposures.values():
        taken = {
            feature: [(Name(namespace, mart), feature)]
            for mart, features in one.features_by_mart.items()
            for feature in features
        }
        facets = {
            **documented(one.description),
            **owned("", one.owner),
            **copied_columns(taken),
        }
        yield from happened(
            RunState.COMPLETE,
            Name(namespace, f"feature_service_{one.name}"),
            "apply",
            str(uuid4()),
            now,
            [InputDataset(namespace=namespace, name=mart) for mart in one.features_by_mart],
            [OutputDataset(namespace=namespace, name=one.name, facets=facets)],
        )
