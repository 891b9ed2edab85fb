"""What events say of data sets: OpenLineage's own facets, and one of ours, the replay's verdict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attr
from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    datasource_dataset,
    documentation_dataset,
    ownership_dataset,
    schema_dataset,
)

from martfeast.declaration.declared import Column, Mart
from martfeast.from_dbt.graph import Graph
from martfeast.openlineage.naming import Name
from martfeast.published.release import PublishedVersion
from martfeast.published.replays import ReplayRecord
from martfeast.to_feast.objects import source_name

Facets = dict[str, Any]
REPLAY_SCHEMA = "urn:martfeast:openlineage:1-0-0:ReplayDatasetFacet"


@attr.define
class ReplayDatasetFacet(DatasetFacet):
    """The verdict of the last replay of a mart: see replay_dataset_facet.json beside this."""

    passed: bool
    failure: str
    replayedAt: str  # facets have camel case
    cuts: int
    comparedRows: int
    withheldFacts: int
    trusted: dict[str, str] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return f"{REPLAY_SCHEMA}#/$defs/ReplayDatasetFacet"


def file_facets(name: Name, version: str, description: str, source: str = "") -> Facets:
    """Return the facets of a file that martfeast wrote.

    Args:
        name: of the file; Feast's source of it has the same URI.
        version: what martfeast calls it.
        description: for people.
        source: what the file is called as a source; its path unless given.

    """
    uri = name.name if name.namespace == "file" else f"{name.namespace}/{name.name}"
    return {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(name=source or uri, uri=uri),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version),
        **documented(description),
    }


def documented(description: str) -> Facets:
    """Return the facet of a description; none of an empty one."""
    if not description.strip():
        return {}
    text = " ".join(description.split())
    return {"documentation": documentation_dataset.DocumentationDatasetFacet(description=text)}


def owned(group: str, owner: str) -> Facets:
    """Return the facet of owners: a group of dbt's, and whom to write to; none of neither."""
    named = [(f"group:{group}", "group")] if group else []
    named += [(owner, "contact")] if owner else []
    owners = [ownership_dataset.Owner(name=name, type=kind) for name, kind in named]
    return {"ownership": ownership_dataset.OwnershipDatasetFacet(owners=owners)} if owners else {}


def schema(columns: Iterable[tuple[str, str, str]]) -> Facets:
    """Return the facet of columns, each with its name, type and description."""
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=name, type=type_, description=text or None)
        for name, type_, text in columns
    ]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)} if fields else {}


def mart_columns(columns: Iterable[Column]) -> Facets:
    """Return the facet of a mart's columns."""
    return schema((one.name, one.data_type.lower(), one.description) for one in columns)


def same_columns(names: Iterable[str], of: Name) -> Facets:
    """Return the facet of columns that are copied, as they are, from those of another data set."""
    return columns_from({name: [(of, name)] for name in names}, "IDENTITY")


def columns_from(
    columns: Mapping[str, Sequence[tuple[Name, str]]],
    subtype: str,
    shaped_by: Iterable[tuple[Name, str, str]] = (),
) -> Facets:
    """Return the facet of where columns come from.

    Args:
        columns: of each column, those that its value is computed of.
        subtype: how, in OpenLineage's words: IDENTITY, TRANSFORMATION or AGGREGATION.
        shaped_by: columns that decide which rows there are, with how: JOIN, FILTER and so on.

    """
    direct = [column_lineage_dataset.Transformation(type="DIRECT", subtype=subtype)]
    fields = {
        name: column_lineage_dataset.Fields(
            inputFields=[
                column_lineage_dataset.InputField(
                    namespace=of.namespace, name=of.name, field=column, transformations=direct
                )
                for of, column in inputs
            ]
        )
        for name, inputs in columns.items()
        if inputs
    }
    whole = [
        column_lineage_dataset.InputField(
            namespace=of.namespace,
            name=of.name,
            field=column,
            transformations=[
                column_lineage_dataset.Transformation(type="INDIRECT", subtype=how.upper())
            ],
        )
        for of, column, how in shaped_by
    ]
    if not fields and not whole:
        return {}
    facet = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, dataset=whole)
    return {"columnLineage": facet}


def assertions(graph: Graph, version: PublishedVersion) -> Facets:
    """Return the facet of the tests that vouch for a version, for a data set that is an input."""
    found = []
    for unique_id, (status, _) in sorted(version.tests.items()):
        test = graph.tests.get(unique_id)
        generic = test.generic if test else None
        column = generic.arguments.get("column_name") if generic else None
        found.append(
            data_quality_assertions_dataset.Assertion(
                assertion=generic.name if generic else unique_id.split(".")[2],
                success=status in ("pass", "success", "warn"),
                column=str(column) if column else None,
                severity=test.config.severity.lower() if test else "error",
                name=unique_id,
            )
        )
    if not found:
        return {}
    facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=found)
    return {"dataQualityAssertions": facet}


def replayed(record: ReplayRecord | None) -> Facets:
    """Return the facet of a replay's verdict; none if a mart was never replayed."""
    if record is None:
        return {}
    facet = ReplayDatasetFacet(
        passed=not record.failure,
        failure=record.failure,
        replayedAt=record.replayed_at,
        cuts=record.cuts,
        comparedRows=record.compared,
        withheldFacts=record.withheld,
        trusted=record.trusted,
    )
    return {"martfeast_replay": facet}


def published_file(
    graph: Graph, mart: Mart, name: Name, version: PublishedVersion, replay: ReplayRecord | None
) -> InputDataset:
    """Return a mart's published version as what something reads, with what vouches for it."""
    return InputDataset(
        namespace=name.namespace,
        name=name.name,
        facets={
            **file_facets(name, version.name, mart.description, source_name(mart.name)),
            **mart_columns(mart.columns),
            **owned(mart.group, mart.owner),
            **replayed(replay),
        },
        inputFacets=assertions(graph, version),
    )
