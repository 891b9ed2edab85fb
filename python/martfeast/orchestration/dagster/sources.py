"""Sources in Dagster: when each was loaded last, and whether that is as fresh as declared."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from martfeast.orchestration.command import in_one_line, run_command
from martfeast.orchestration.dagster.translator import as_name
from martfeast.orchestration.steps import Steps


def observed_sources(steps: Steps, specs: Mapping[str, dg.AssetSpec]) -> dg.AssetsDefinition | None:
    """Return the sources of which dbt can tell how fresh they are; None if there are none.

    Observing them runs `dbt source freshness`, and notes when each was loaded last.
    """
    fresh = {one: specs[one] for one, _, _ in _declared(steps)}
    if not fresh:
        return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        observed: Any = dg.multi_observable_source_asset(
            name=f"{as_name(steps.name)}_sources", specs=list(fresh.values()), can_subset=True
        )

    @observed  # type: ignore[untyped-decorator]
    def sources(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        code, printed = run_command(steps.freshness())
        found = steps.project.artifacts.target_path / "sources.json"
        if code not in (0, 1) or not found.exists():
            raise dg.Failure(in_one_line(printed.splitlines()[-3:]))
        for result in json.loads(found.read_bytes())["results"]:
            spec = fresh.get(result["unique_id"])
            if spec is None or spec.key not in context.selected_asset_keys:
                continue
            if "max_loaded_at" not in result:
                context.log.error(f"{spec.key.to_user_string()}: {result.get('error')}")
                continue
            loaded_at = datetime.fromisoformat(result["max_loaded_at"].replace("Z", "+00:00"))
            yield dg.ObserveResult(
                asset_key=spec.key,
                data_version=dg.DataVersion(result["max_loaded_at"]),
                metadata={
                    "dagster/last_updated_timestamp": dg.MetadataValue.timestamp(loaded_at),
                    "dbt_status": result["status"],
                },
            )

    made: dg.AssetsDefinition = sources
    return made


def freshness_checks(
    steps: Steps, specs: Mapping[str, dg.AssetSpec]
) -> Sequence[dg.AssetChecksDefinition]:
    """Return a check for each source that declares how fresh it must be.

    dbt's error_after fails it; where there is only warn_after, it warns.
    """
    with warnings.catch_warnings():
        # Dagster would rather have a policy, which does not look at observations.
        warnings.simplefilter("ignore", dg.SupersessionWarning)
        return [
            check
            for unique_id, within, severity in _declared(steps)
            for check in dg.build_last_update_freshness_checks(
                assets=[specs[unique_id].key], lower_bound_delta=within, severity=severity
            )
        ]


def _declared(steps: Steps) -> Iterator[tuple[str, timedelta, dg.AssetCheckSeverity]]:
    """Yield the sources that say how fresh they must be, with the time they have."""
    for unique_id, source in steps.manifest["sources"].items():
        declared: dict[str, Any] = source.get("freshness") or {}
        for key, severity in (
            ("error_after", dg.AssetCheckSeverity.ERROR),
            ("warn_after", dg.AssetCheckSeverity.WARN),
        ):
            after = declared.get(key) or {}
            if after.get("count") and after.get("period"):
                yield unique_id, timedelta(**{f"{after['period']}s": after["count"]}), severity
                break
