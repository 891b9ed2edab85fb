"""``martfeast dataset`` as events: published files and a feature service to a training set."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent, RunState
from openlineage.client.facet_v2 import output_statistics_output_dataset

from martfeast.datasets.folder import DATA
from martfeast.declaration.declared import ASKED_AT
from martfeast.openlineage.facets import copied_columns, file_facets, owned, published_file, schema
from martfeast.openlineage.naming import Name, file, job_namespace, run_id
from martfeast.openlineage.runs import happened

if TYPE_CHECKING:
    from martfeast.datasets.build import Dataset
    from martfeast.datasets.record import DatasetRecord
    from martfeast.declaration.declared import Declaration
    from martfeast.declaration.project import Project
    from martfeast.gate.assess import Assessment


def dataset_events(
    assessment: "Assessment", namespace: str, dataset: "Dataset"
) -> Iterator[RunEvent]:
    """Yield that a training set was built: the same run however often it is asked for.

    Args:
        assessment: of the project that it was built from.
        namespace: of Feast's objects.
        dataset: the training set.

    """
    project, record = assessment.project, dataset.record
    declaration = project.declaration
    replays = {one.mart.name: one.replay for one in assessment.readiness}
    written = file(dataset.path / DATA)
    read = _files(declaration, record)
    inputs = [InputDataset(namespace=namespace, name=record.inputs.registry.feature_service)]
    for name, path in read.items():
        mart = declaration.marts[name]
        assert mart.version is not None  # a training set was built of it
        vouched = (mart.version, replays.get(name))
        inputs.append(published_file(project.artifacts.graph, mart, path, *vouched))
    counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=record.file.rows, size=record.file.bytes, fileCount=1
    )
    facets = {
        **file_facets(written, str(record.number), record.about.description, record.saved_dataset),
        **schema((one.name, one.type, one.description) for one in record.columns),
        **owned("", record.about.owner),
        **copied_columns(_columns(declaration, record, read)),
    }
    yield from happened(
        RunState.COMPLETE,
        job(project, record.name),
        "dataset",
        run_id("dataset", written.name, record.file.sha256),
        datetime.fromisoformat(record.created_at),
        inputs,
        [
            OutputDataset(
                namespace=written.namespace,
                name=written.name,
                facets=facets,
                outputFacets={"outputStatistics": counted},
            )
        ],
    )


def refused_event(project: "Project", exposure: str, why: str) -> Iterator[RunEvent]:
    """Yield that a training set could not be had, and why."""
    yield from happened(
        RunState.FAIL,
        job(project, exposure),
        "dataset",
        str(uuid4()),
        datetime.now(UTC),
        failure=why,
    )


def job(project: "Project", exposure: str) -> Name:
    """Return the name of the job that builds the training sets of an exposure."""
    return Name(job_namespace(), f"{project.artifacts.graph.project_name}.{exposure}.dataset")


def _files(declaration: "Declaration", record: "DatasetRecord") -> dict[str, Name]:
    """Return the published files that a training set is made of, by mart."""
    marts = {one.mart: one.version for one in record.inputs.marts}
    return {
        name: file(declaration.marts[name].path.with_name(f"{version}.parquet"))
        for name, version in marts.items()
    }


def _columns(
    declaration: "Declaration", record: "DatasetRecord", read: dict[str, Name]
) -> dict[str, list[tuple[Name, str]]]:
    """Return, of each column that is copied from a mart, which one that is."""
    found = {}
    for one in record.columns:
        mart = declaration.marts[one.mart or record.label.mart]
        name = mart.timestamp if one.name == ASKED_AT else one.name
        if mart.column(name) is not None:
            found[one.name] = [(read[mart.name], name)]
    return found
