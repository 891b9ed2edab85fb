"""``python -m martfeast.orchestration.prefect <dbt project>``: serve its flow, or run it once."""

import os
import re
import signal
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from prefect import serve
from prefect.client.schemas.objects import State
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment

from martfeast.causes import Cause
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.options import INTERRUPTED, MOMENT, RefusingCommand
from martfeast.orchestration.child import GRACE_SECONDS
from martfeast.orchestration.prefect.flow import flow_for
from martfeast.orchestration.prefect.nodes import REFUSED, UNUSABLE
from martfeast.orchestration.steps import read_steps
from martfeast.problems import refusal

SERVED = "martfeast.orchestration.prefect.served.build"


@click.command(cls=RefusingCommand)
@click.argument("project", type=click.Path(path_type=Path), default=".")
@click.option(
    "--cron", help="When to run everything, UTC.  [default: as marts declare, each its own]"
)
@click.option("--run", "runs_once", is_flag=True, help="Run once, now, and exit.")
@click.option("--target", help="The dbt target.")
@click.option(
    "--mart",
    "marts",
    multiple=True,
    help="Only this mart, what it is made of, and what is made of that.",
)
@click.option("--from", "start", type=MOMENT, help="Make ranges anew from this moment (UTC) on.")
@click.option("--to", "end", type=MOMENT, help="The moment (UTC) after the last.")
def main(
    project: Path,
    cron: str | None,
    runs_once: bool,
    target: str | None,
    marts: tuple[str, ...],
    start: datetime | None,
    end: datetime | None,
) -> None:
    """Serve the flow of a dbt PROJECT on its schedules, until it is stopped; or run it once.

    Served are the schedules that marts declare under meta.feast, or --cron. With --run it exits as
    martfeast's commands do: 1 refused by evidence, 2 not usable, 3 worth a retry.
    """
    parameters = {"target": target, "marts": list(marts) or None, "start": start, "end": end}
    if runs_once:
        _end_when_interrupted()
        build: Callable[..., State[Any]] = flow_for(project)
        ended = build(**parameters, return_state=True)
        click.echo(f"{ended.name}: {ended.message}", err=not ended.is_completed())
        raise SystemExit(_exit_code(ended))
    os.environ["DBT_PROJECT_DIR"] = str(project.resolve())
    serve(*deployments(project, cron, parameters))


def deployments(
    project: Path, cron: str | None, parameters: dict[str, Any]
) -> list[RunnerDeployment]:
    """Return what is to be served: one deployment for each schedule.

    Raises:
        DeclarationError: there is no schedule, or no dbt project.

    """
    steps = read_steps(DbtProject(project, target=parameters["target"]))
    if cron is not None:
        _require_cron(cron)
    schedules: dict[str, list[str]] = {cron: []} if cron else steps.schedules
    if not schedules:
        raise refusal(
            steps.name,
            "schedule-missing",
            "No mart declares a schedule.",
            "Give --cron, or set meta.feast.schedule: docs/time.md.",
        )
    return [
        RunnerDeployment.from_entrypoint(
            SERVED,
            name=f"{steps.name} {re.sub(r'[^0-9A-Za-z ]', '_', when)}",
            cron=when,
            parameters={**parameters, **({"marts": marts} if marts else {})},
        )
        for when, marts in schedules.items()
    ]


def _require_cron(cron: str) -> None:
    try:
        CronSchedule(cron=cron)
    except ValueError:
        message, advice = f"'{cron}' is no cron expression.", "Write it as '30 6 * * *', in UTC."
        raise refusal("--cron", "cron-unreadable", message, advice) from None


def _end_when_interrupted() -> None:
    """Let Ctrl-C end this process even where Prefect waits for a server that Ctrl-C ended too.

    Commands end with the process that started them.
    """
    seen: list[int] = []

    def interrupted(*_: Any) -> None:
        if seen:
            os._exit(INTERRUPTED)
        seen.append(1)
        waited = threading.Timer(GRACE_SECONDS, os._exit, [INTERRUPTED])
        waited.daemon = True
        waited.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)


def _exit_code(ended: State[Any]) -> int:
    if ended.is_completed():
        return 0
    causes = {UNUSABLE: Cause.USAGE, REFUSED: Cause.EVIDENCE}
    return causes.get(str(ended.name), Cause.INFRASTRUCTURE)


if __name__ == "__main__":
    main()
