"""What dbt says of a node, as Dagster's events."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from martfeast.orchestration.dagster.layout import Layout
from martfeast.orchestration.dbt_run import NodeFinished


def output_of_node(layout: Layout, event: NodeFinished) -> dg.Output[None]:
    """Return the materialization of a model, seed or snapshot, as dagster-dbt describes it.

    Its metadata are columns, lineage of columns, rows, seconds, and dbt's ids.
    """
    spec = layout.nodes[event.unique_id]
    return dg.Output(
        None,
        output_name=spec.key.to_python_identifier(),
        metadata={
            **_described(layout, event),
            "dbt_status": event.status,
            "seconds": event.seconds,
            **({} if event.row_count is None else {"dagster/row_count": event.row_count}),
        },
    )


def _described(layout: Layout, event: NodeFinished) -> dict[str, Any]:
    manifest = layout.steps.manifest
    named = {**manifest["nodes"], **manifest["sources"]}
    parents = {
        named[one]["relation_name"]: {"columns": _columns(columns)}
        for one, columns in event.parents.items()
    }
    history = {"columns": _columns(event.columns), "parents": parents} if event.columns else {}
    raw = {
        "info": {"name": "LogModelResult", "invocation_id": "", "msg": event.message},
        "data": {"node_info": event.node_info, "status": event.status},
    }
    said = DbtCoreCliEventMessage(raw, history).to_default_asset_events(
        manifest,
        layout.translator,
        target_path=layout.steps.project.artifacts.target_path,
    )
    return {
        name: value
        for one in said
        if isinstance(one, dg.AssetMaterialization)
        for name, value in one.metadata.items()
        if name not in ("invocation_id", "status")
    }


def _columns(types: dict[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"data_type": type_} for name, type_ in types.items()}


def output(
    spec: dg.AssetSpec, content_hash: str | None, metadata: Mapping[str, Any]
) -> dg.Output[None]:
    """Return the materialization of an asset. content_hash: its data version, where it has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # that it has a data version
        return dg.Output(
            None,
            output_name=spec.key.to_python_identifier(),
            data_version=dg.DataVersion(content_hash) if content_hash else None,
            metadata=metadata,
        )


def check_result(spec: dg.AssetCheckSpec, event: NodeFinished) -> dg.AssetCheckResult:
    """Return how a test ended; one of severity warn that failed is a warning."""
    is_warning = event.status == "warn"
    return dg.AssetCheckResult(
        passed=event.status == "pass",
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        metadata={
            "dbt_status": event.status,
            "failed_row_count": event.failures or 0,
            "seconds": event.seconds,
            **({"message": event.message} if event.message else {}),
        },
    )
