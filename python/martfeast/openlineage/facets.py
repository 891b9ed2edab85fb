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
from martfeast.lineage.columns import ColumnLineage
from martfeast.lineage.traced import FILTER, GROUP, JOIN, WINDOW, Traced
from martfeast.openlineage.naming import Name
from martfeast.published.release import PublishedVersion
from martfeast.published.replays import ReplayRecord
from martfeast.to_feast.objects import source_name

Facets = dict[str, Any]
# How columns decide on rows, in OpenLineage's words.
_HOWS = {FILTER: "FILTER", GROUP: "GROUP_BY", JOIN: "JOIN", WINDOW: "WINDOW"}
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


def traced_columns(
    lineage: ColumnLineage, unique_id: str, names: Mapping[str, Name], columns: Iterable[str]
) -> Facets:
    """Return the facet of what a model's columns are computed of, one step away.

    Args:
        lineage: of the project's columns; a model that could not be traced has no facet.
        unique_id: the model's.
        names: what relations are called, by unique_id.
        columns: the model's, as they are declared.

    """
    if unique_id in lineage.untraced:
        return {}
    traced = {name: lineage.columns[unique_id].get(name.lower(), Traced()) for name in columns}
    fields = {name: _fields(one, names) for name, one in traced.items() if one.values}
    shapes = dict.fromkeys(one for of in traced.values() for one in of.shaped_by)
    whole = [
        _input_field(names[key.unique_id], key.column, "INDIRECT", _HOWS[how])
        for key, how in shapes
        if key.unique_id in names
    ]
    if not fields and not whole:
        return {}
    facet = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, dataset=whole)
    return {"columnLineage": facet}


def _fields(traced: Traced, names: Mapping[str, Name]) -> column_lineage_dataset.Fields:
    inputs = [
        _input_field(names[key.unique_id], key.column, "DIRECT", traced.how.upper())
        for key in traced.values
        if key.unique_id in names
    ]
    return column_lineage_dataset.Fields(inputFields=inputs)


def _input_field(
    of: Name, column: str, kind: str, subtype: str
) -> column_lineage_dataset.InputField:
    how = column_lineage_dataset.Transformation(type=kind, subtype=subtype)
    return column_lineage_dataset.InputField(
        namespace=of.namespace, name=of.name, field=column, transformations=[how]
    )


def same_columns(names: Iterable[str], of: Name) -> Facets:
    """Return the facet of columns that are copied, as they are, from those of another data set."""
    return copied_columns({name: [(of, name)] for name in names})


def copied_columns(columns: Mapping[str, Sequence[tuple[Name, str]]]) -> Facets:
    """Return the facet of columns that are copied, each from columns of other data sets."""
    fields = {
        name: column_lineage_dataset.Fields(
            inputFields=[_input_field(of, column, "DIRECT", "IDENTITY") for of, column in inputs]
        )
        for name, inputs in columns.items()
    }
    if not fields:
        return {}
    return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)}


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
