"""A dbt project as Dagster definitions."""

import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.orchestration.dagster.layout import Layout, lay_out
from martfeast.orchestration.dagster.run import run_project
from martfeast.orchestration.dagster.sources import freshness_checks, observed_sources
from martfeast.orchestration.dagster.state import Event
from martfeast.orchestration.dagster.translator import as_name
from martfeast.orchestration.steps import Steps, read_steps

RETRY_AFTER_SECONDS = 30


def build_definitions(
    project: str | Path | DbtProject,
    *,
    feature_repo: str | Path | None = None,
    retries: int = 1,
) -> dg.Definitions:
    """Return a martfeast project's assets, checks, jobs and schedules for Dagster.

    dbt parses the project if its files have changed since it last did.

    Args:
        project: the folder with dbt_project.yml, or with dbt's options too.
        feature_repo: the folder with feature_store.yaml; by default `feature_repo` in the project,
            if there.
        retries: how often a run tries again what failed of infrastructure: a locked database, a
            model that failed, not a test.

    Returns:
        Assets: dbt's seeds, models and snapshots; the release of each mart, its feature view and
        online view; the dataset of each exposure with a label. Checks: dbt's tests, the replay and
        the gate of each mart, the freshness of sources. A job for all, and one with a schedule for
        each cron expression that marts declare.

    Raises:
        DeclarationError: there is no dbt project, or dbt cannot parse it.

    """
    dbt_project = project if isinstance(project, DbtProject) else DbtProject(Path(project))
    steps = read_steps(dbt_project, Path(feature_repo) if feature_repo else None)
    layout = lay_out(steps)
    sources = observed_sources(steps, layout.sources)
    jobs, schedules = _jobs(steps, layout)
    return dg.Definitions(
        assets=[_assets(layout, retries), *([sources] if sources else [])],
        asset_checks=freshness_checks(steps, layout.sources),
        jobs=jobs,
        schedules=schedules,
    )


def pool_of(steps: Steps) -> str:
    """Return the pool of the one writer of a project's warehouse."""
    return f"{as_name(steps.name)}_writer"


def _assets(layout: Layout, retries: int) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=as_name(layout.steps.name),
        specs=layout.specs,
        check_specs=layout.check_specs,
        can_subset=True,
        allow_arbitrary_check_specs=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=pool_of(layout.steps),
        retry_policy=dg.RetryPolicy(max_retries=retries, delay=RETRY_AFTER_SECONDS),
    )
    def project(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from run_project(context, layout)

    return project


def _jobs(steps: Steps, layout: Layout) -> tuple[list[Any], list[dg.ScheduleDefinition]]:
    name = as_name(steps.name)
    everything = dg.AssetSelection.assets(*(spec.key for spec in layout.specs))
    jobs, schedules = [dg.define_asset_job(f"{name}_all", everything)], []
    for cron, marts in steps.schedules.items():
        released = dg.AssetSelection.assets(*(layout.released[mart].key for mart in marts))
        slug = re.sub(r"\W+", "_", cron.replace("*", "x").replace("/", "_per_"))
        job = dg.define_asset_job(
            f"{name}_{slug}",
            # What is made of something that is made again has to be made again too.
            released.upstream().downstream() & everything,
            description=f"{', '.join(marts)}, what they need, what is made of that; '{cron}' UTC.",
        )
        jobs.append(job)
        schedules.append(_schedule(job, cron, layout.days))
    return jobs, schedules


def _schedule(job: Any, cron: str, days: dg.DailyPartitionsDefinition | None) -> Any:
    @dg.schedule(job=job, cron_schedule=cron, execution_timezone="UTC", name=f"{job.name}_schedule")
    def newest_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """Ask for the newest day, which makes what is new and what came late."""
        moment = context.scheduled_execution_time
        newest = f"{moment.astimezone(UTC) - timedelta(days=1):%Y-%m-%d}"
        return dg.RunRequest(run_key=moment.isoformat(), partition_key=newest if days else None)

    return newest_day
