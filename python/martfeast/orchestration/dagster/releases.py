"""A sensor for those who only consume: a run of theirs for each new release of somebody else's."""

import json
from pathlib import Path
from typing import Any

import dagster as dg

from martfeast.orchestration.dagster.translator import as_name
from martfeast.problems import ProblemLog
from martfeast.published.release import read_release


def release_sensor(
    published_path: str | Path,
    *,
    target: Any,
    name: str = "new_release",
    marts: tuple[str, ...] = (),
    minimum_interval_seconds: int = 60,
) -> dg.SensorDefinition:
    """Return a sensor that asks for a run when marts have another published version.

    It reads the release alone, and needs neither the dbt project nor its warehouse.

    Args:
        published_path: the folder that the other project publishes to.
        target: what to run: a job, or a selection of assets, as Dagster's sensors take it.
        name: of the sensor.
        marts: which ones to look at; by default all.
        minimum_interval_seconds: how long to wait between looks, in seconds.

    """
    path = Path(published_path).resolve()

    @dg.sensor(name=as_name(name), target=target, minimum_interval_seconds=minimum_interval_seconds)
    def new_release(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        """Compare the versions that hold now with those that were seen last."""
        log = ProblemLog()
        release = read_release(path, log)
        if log.problems or release.number == 0:
            why = "; ".join(one.message for one in log.problems) or "nothing is published yet"
            return dg.SkipReason(f"{path}: {why}")
        versions = {
            one.mart: one.version.content_hash
            for one in release.marts
            if one.version and (not marts or one.mart in marts)
        }
        seen = json.loads(context.cursor or "{}")
        changed = sorted(name for name, held in versions.items() if seen.get(name) != held)
        if not changed:
            return dg.SkipReason(f"release {release.number} has the versions that were seen last")
        tags = {"martfeast/release": str(release.number), "martfeast/marts": ",".join(changed)}
        key = f"{release.number}-{'-'.join(versions[one][:8] for one in changed)}"
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=key, tags=tags)],
            cursor=json.dumps(versions, sort_keys=True),
        )

    return new_release
