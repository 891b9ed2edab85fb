"""A dbt project as Dagster shows it, by dagster-dbt's conventions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.node import Test
from martfeast.orchestration.steps import BUILT, Steps

DAY = "day"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class ProjectTranslator(DagsterDbtTranslator):
    """Names and describes a project's nodes as dagster-dbt does.

    The code version is the checksum of all that a node runs, its macros too. A model that is made
    by ranges of event time has daily partitions. Names that Dagster does not take are changed.
    """

    def __init__(self, steps: Steps, days: dg.DailyPartitionsDefinition | None) -> None:
        """Remember the project. days: the partitions of what is made by ranges."""
        super().__init__()
        self.steps = steps
        self.days = days

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the checksum of what a node runs."""
        graph, unique_id = self.steps.project.artifacts.graph, dbt_resource_props["unique_id"]
        return code_checksum(graph, unique_id) if unique_id in graph.models else None

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return dbt's group."""
        name = super().get_group_name(dbt_resource_props)
        return name and as_name(name)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        """Return the addresses of the group's owner; without one, the group as a team."""
        group = dbt_resource_props.get("group")
        name = group.get("name") if isinstance(group, Mapping) else group
        owners = [
            one for one in super().get_owners(dbt_resource_props) or () if _EMAIL.fullmatch(one)
        ]
        return owners or ([f"team:{as_name(name)}"] if name else None)

    def get_partitions_def(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.PartitionsDefinition | None:
        """Return days, for a model that is made by ranges of event time."""
        is_ranged = dbt_resource_props["unique_id"] in self.steps.batches
        return self.days if is_ranged else None


def as_name(text: str) -> str:
    """Return a text as a name that Dagster takes."""
    return re.sub(r"\W", "_", text)


def days_of(steps: Steps) -> dg.DailyPartitionsDefinition | None:
    """Return the days from where the first history of a project starts on; None without ranges.

    All models have the same days, so that one run can make a day of all of them. Where batches are
    longer, a day is made by making the batch that it is in.
    """
    starts = [start for _, start in steps.batches.values()]
    return dg.DailyPartitionsDefinition(min(starts).strftime("%Y-%m-%d")) if starts else None


def node_specs(steps: Steps, translator: ProjectTranslator) -> dict[str, dg.AssetSpec]:
    """Return the assets of models, seeds and snapshots, by unique_id."""
    return {
        unique_id: translator.get_asset_spec(steps.manifest, unique_id, None)
        for unique_id, node in steps.manifest["nodes"].items()
        if node["resource_type"] in BUILT and node["config"]["materialized"] != "ephemeral"
    }


def source_specs(steps: Steps, translator: ProjectTranslator) -> dict[str, dg.AssetSpec]:
    """Return the assets of sources, by unique_id."""
    return {
        unique_id: translator.get_asset_spec(steps.manifest, unique_id, None)
        for unique_id in steps.manifest["sources"]
    }


def test_specs(steps: Steps, specs: Mapping[str, dg.AssetSpec]) -> dict[str, dg.AssetCheckSpec]:
    """Return the checks of data tests and unit tests, by unique_id; those of severity error block.

    A test that is attached to no node checks what is furthest down of all that it reads.

    Args:
        steps: the project.
        specs: of all nodes and sources.

    """
    graph = steps.project.artifacts.graph
    found: dict[str, dg.AssetCheckSpec] = {}
    taken = set()
    for unique_id, test in [*graph.tests.items(), *graph.unit_tests.items()]:
        attached = test.attached_node if isinstance(test, Test) else None
        read = [one for one in test.depends_on.nodes if one in specs]
        if attached not in specs:
            attached = max(read, key=lambda one: len(graph.upstream(one)), default=None)
        if attached is None:
            continue
        key, name = specs[attached].key, as_name(test.name)
        if (key, name) in taken:
            name = as_name(unique_id)
        taken.add((key, name))
        found[unique_id] = dg.AssetCheckSpec(
            name,
            asset=key,
            description=test.description or None,
            additional_deps=[specs[one].key for one in read if one != attached],
            blocking=test.blocks if isinstance(test, Test) else True,
            metadata={"unique_id": unique_id},
        )
    return found
