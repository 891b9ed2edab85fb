"""Publishing as events: the bridge from tables, as dbt-ol names them, to files that Feast reads.

All is told from the release, which the hooks of the dbt package write: so it can be told after a
build, and again, and is always the same run.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent, RunState
from openlineage.client.facet_v2 import datasource_dataset, output_statistics_output_dataset

from martfeast.declaration.declared import Mart
from martfeast.openlineage.facets import (
    Facets,
    assertions,
    documented,
    file_facets,
    mart_columns,
    owned,
    replayed,
    same_columns,
    schema,
    traced_columns,
)
from martfeast.openlineage.naming import (
    Name,
    file,
    job_namespace,
    run_id,
    source_file,
    table,
)
from martfeast.openlineage.runs import happened
from martfeast.published.release import PUBLISHED_AT, PublishedVersion, Verdict

if TYPE_CHECKING:
    from martfeast.declaration.project import Project
    from martfeast.from_dbt.node import Source
    from martfeast.gate.assess import Assessment
    from martfeast.lineage.columns import ColumnLineage
    from martfeast.published.replays import ReplayRecord


def publish_events(
    assessment: "Assessment", lineage: "ColumnLineage | None" = None
) -> Iterator[RunEvent]:
    """Yield what the current release of a project tells; nothing if there is none.

    Of each file that a source stands for, that it was read; of each version, that it was published;
    of each mart that is held back, why. Times and ids of runs are the release's.

    Args:
        assessment: of the project.
        lineage: of its columns, to say what those of a mart's table are computed of.

    """
    project = assessment.project
    if not project.release.number:
        return
    replays = {one.mart.unique_id: one.replay for one in assessment.readiness}
    yield from _source_events(project)
    for mart in project.declaration.own_marts.values():
        verdict = project.release.verdict(mart.unique_id)
        job = Name(job_namespace(), f"{project.artifacts.graph.project_name}.{mart.name}.publish")
        if verdict.version:
            replay = replays.get(mart.unique_id)
            yield from _published(project, mart, verdict.version, job, replay, lineage)
        if verdict.held_back:
            yield from _held_back(project, mart, verdict, job)


def _source_events(project: "Project") -> Iterator[RunEvent]:
    """Yield, of each source over a file, that the file was read: dbt-ol knows the source alone."""
    graph, release = project.artifacts.graph, project.release
    marts = project.declaration.own_marts.values()
    above = {name for mart in marts for name in graph.upstream(mart.unique_id)}
    for unique_id in sorted(above & set(graph.sources)):
        source = graph.sources[unique_id]
        landed = source_file(source, project.artifacts.project_dir)
        if landed is None:
            continue
        read = table(release, source)
        facets = {**documented(source.description), **_source_columns(source)}
        columns = same_columns(source.columns, landed)
        yield from happened(
            RunState.COMPLETE,
            Name(job_namespace(), f"{graph.project_name}.{source.alias}.read"),
            "read",
            run_id("read", release.warehouse_id, release.number, unique_id),
            datetime.fromisoformat(release.judged_at),
            [InputDataset(namespace=landed.namespace, name=landed.name, facets=facets)],
            [OutputDataset(namespace=read.namespace, name=read.name, facets={**facets, **columns})],
        )


def _source_columns(source: "Source") -> Facets:
    return schema(
        (one.name, one.data_type or "", one.description) for one in source.columns.values()
    )


def _published(
    project: "Project",
    mart: Mart,
    version: PublishedVersion,
    job: Name,
    replay: "ReplayRecord | None",
    lineage: "ColumnLineage | None",
) -> Iterator[RunEvent]:
    """Yield that a version was published: the mart's table read, its file written."""
    graph, release = project.artifacts.graph, project.release
    read, written = table(release, graph.models[mart.unique_id]), file(version.path)
    said = {**mart_columns(mart.columns), **owned(mart.group, mart.owner)}
    columns = [column.name for column in mart.columns]
    names = {one: table(release, graph.relation(one)) for one in graph.upstream(mart.unique_id)}
    traced = traced_columns(lineage, mart.unique_id, names, columns) if lineage else {}
    source = datasource_dataset.DatasourceDatasetFacet(name=read.namespace, uri=read.namespace)
    counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=version.row_count,
        size=version.file.byte_count,
        fileCount=len(version.file.partitions) or 1,
    )
    published = (PUBLISHED_AT, "timestamp", "When the row was published, UTC.")
    file_columns = [(one.name, one.data_type.lower(), one.description) for one in mart.columns]
    yield from happened(
        RunState.COMPLETE,
        job,
        "publish",
        run_id("publish", release.warehouse_id, mart.unique_id, version.name),
        version.published_at,
        [
            InputDataset(
                namespace=read.namespace,
                name=read.name,
                facets={"dataSource": source, **documented(mart.description), **said, **traced},
                inputFacets=assertions(graph, version),
            )
        ],
        [
            OutputDataset(
                namespace=written.namespace,
                name=written.name,
                facets={
                    **file_facets(written, version.name, mart.description, mart.name),
                    **said,
                    **schema([*file_columns, published]),
                    **same_columns(columns, read),
                    **replayed(replay),
                },
                outputFacets={"outputStatistics": counted},
            )
        ],
    )


def _held_back(project: "Project", mart: Mart, verdict: Verdict, job: Name) -> Iterator[RunEvent]:
    """Yield that a mart's present rows were not published, and why."""
    release = project.release
    read = table(release, project.artifacts.graph.models[mart.unique_id])
    yield from happened(
        RunState.FAIL,
        job,
        "publish",
        run_id("held back", release.warehouse_id, mart.unique_id, release.number),
        datetime.fromisoformat(release.judged_at),
        [InputDataset(namespace=read.namespace, name=read.name)],
        failure=f"{mart.name} is held back: {'; '.join(verdict.held_back)}",
    )
