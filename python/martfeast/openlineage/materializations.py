"""``martfeast materialize`` as events: feature views to the online store, one run for each."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent, RunState
from openlineage.client.facet_v2 import output_statistics_output_dataset

from martfeast.openlineage.facets import file_facets, same_columns
from martfeast.openlineage.naming import Name, feast_namespace, file
from martfeast.openlineage.runs import happened
from martfeast.to_feast.objects import source_name

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from martfeast.to_feast.materialize import Written


def materialize_events(
    store: "FeatureStore", done: "Sequence[Written]", failed: str = "", why: str = ""
) -> Iterator[RunEvent]:
    """Yield that views were written to the online store, and that one was not.

    Args:
        store: whose online store it is.
        done: what was written.
        failed: the view that could not be written; empty if there is none.
        why: what was refused of it.

    """
    views = {view.name: view for view in store.list_feature_views()}
    namespace = feast_namespace(store.config)
    for one in done:
        yield from _written(store, views[one.view], one, namespace)
    if failed in views:
        yield from happened(
            RunState.FAIL,
            _job(namespace, failed),
            "materialize",
            str(uuid4()),
            datetime.now(UTC),
            [InputDataset(namespace=namespace, name=failed)],
            failure=why,
        )


def _job(namespace: str, view: str) -> Name:
    return Name(namespace, f"materialize_{view}")


def _written(
    store: "FeatureStore", view: "FeatureView", one: "Written", namespace: str
) -> Iterator[RunEvent]:
    from feast.openlineage.mappers import online_store_to_dataset, resolve_online_store_type

    source: Any = view.batch_source
    path = file(Path(source.path))
    kind = resolve_online_store_type(store.config.online_store)
    sink: OutputDataset = online_store_to_dataset(kind, view.name, namespace)
    columns = [column.name for column in [*view.entity_columns, *view.features]]
    counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=one.row_count
    )
    of_view = Name(namespace, view.name)
    yield from happened(
        RunState.COMPLETE,
        _job(namespace, view.name),
        "materialize",
        str(uuid4()),
        datetime.now(UTC),
        [
            InputDataset(namespace=namespace, name=view.name),
            InputDataset(
                namespace=path.namespace,
                name=path.name,
                facets=file_facets(path, one.version, view.description, source_name(view.name)),
            ),
        ],
        [
            OutputDataset(
                namespace=sink.namespace,
                name=sink.name,
                facets={**(sink.facets or {}), **same_columns(columns, of_view)},
                outputFacets={"outputStatistics": counted},
            )
        ],
    )
