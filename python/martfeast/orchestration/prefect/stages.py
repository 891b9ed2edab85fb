"""Prefect tasks of what comes after dbt's nodes: backfill, replay, gate, Feast, datasets."""

import json
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from martfeast.causes import Cause
from martfeast.orchestration.command import Command, Running, in_one_line
from martfeast.orchestration.dbt_run import NodeFinished, Said, dbt_events
from martfeast.orchestration.prefect.nodes import (
    FAILED,
    LEVELS,
    NOT_RUN,
    REFUSED,
    UNUSABLE,
    is_failure_of_surroundings,
)
from martfeast.orchestration.prefect.reports import card_markdown, gate_markdown, replay_markdown

NAMES = {Cause.EVIDENCE: REFUSED, Cause.USAGE: UNUSABLE}
TASK: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retry_condition_fn": is_failure_of_surroundings,
}


class Stage:
    """A command of a project that a task runs, and what its artifacts are called.

    A class of its own, because Prefect looks into what tasks are given, and this is large.
    """

    def __init__(self, command: Command, project: str) -> None:
        """Remember the command. project: the dbt project's name."""
        self.command = command
        self.key = "".join(one if one.isalnum() else "-" for one in project.lower())


@task(**TASK)
def run_command(stage: Stage) -> State[Any]:
    """Run a command; log what it prints."""
    code, printed = _run(stage.command)
    return _state(code, printed)


@task(**TASK)
def backfill(stage: Stage) -> State[Any]:
    """Make batches anew; log each node's end. Run again, it goes on with the batches left."""
    logger = get_run_logger()
    logger.info("%s", stage.command)
    lines: list[str] = []
    with Running(stage.command) as running:
        for event in dbt_events(running):
            if isinstance(event, NodeFinished):
                level = "info" if event.has_succeeded else "error"
                said = f"[{event.unique_id}] {event.status} {event.message}"
                logger.log(LEVELS.get(level, 20), f"{said} in {event.seconds:.1f} s")
            elif isinstance(event, Said):
                lines.append(event.text)
                logger.log(LEVELS.get(event.level, 20), event.text)
        code = running.wait()
    return _state(code, "\n".join(lines))


@task(**TASK)
def status(stage: Stage) -> State[Any]:
    """Ask how marts stand; that some are not ready is no failure of the asking."""
    code, printed = _run(stage.command)
    found = _json(printed)
    return _state(code, printed) if found is None else Completed(data=found)


@task(**TASK)
def replay(stage: Stage) -> State[Any]:
    """Replay marts, and show what came of it."""
    code, printed = _run(stage.command)
    if (shown := _json(printed)) is not None:
        create_markdown_artifact(replay_markdown(shown), key=f"{stage.key}-replay")
    return _state(code, printed)


@task(**TASK)
def gate(stage: Stage, found: dict[str, Any] | None) -> State[Any]:
    """End as the gate says, and show it. found: what it has said already, if it was asked."""
    if found is None:
        code, printed = _run(stage.command)
        found = _json(printed)
        if found is None:
            return _state(code, printed)
    create_markdown_artifact(gate_markdown(found), key=f"{stage.key}-gate")
    if found["is_ready"]:
        return Completed(message=f"Release {found['release']} may be applied.")
    refused = [mart["mart"] for mart in found["marts"] if not mart["is_ready"]]
    problems = [f"{one['subject']} [{one['rule']}]" for one in found["problems"]]
    name = UNUSABLE if problems else REFUSED
    return Failed(name=name, message=f"The gate refuses {', '.join([*refused, *problems])}.")


@task(**TASK)
def dataset(stage: Stage, exposure: str, folder: str) -> State[Any]:
    """Build the training set of an exposure if its inputs are new, and show its card."""
    code, printed = _run(stage.command)
    record = _json(printed)
    if code == 0 and record is not None:
        key = f"{stage.key}-dataset-{exposure.replace('_', '-').lower()}"
        create_markdown_artifact(card_markdown(record, folder), key=key)
        link = f"file://{folder}/{record['number']:04}/card.html"
        create_link_artifact(link, f"Card of {exposure}, {record['number']}", key=f"{key}-card")
    return _state(code, printed)


@task(**TASK)
def skip(because: str) -> State[Any]:
    """End what was not run because of something before it: that is no success."""
    return Cancelled(name=NOT_RUN, message=because)


def _run(command: Command) -> tuple[int, str]:
    """Run a command; return its exit code and all that it printed. Its JSON is not logged."""
    logger = get_run_logger()
    logger.info("%s", command)
    lines: list[str] = []
    is_json = False
    with Running(command) as running:
        for line in running.lines():
            lines.append(line)
            is_json |= line == "{"
            if not is_json:
                logger.info(line)
            is_json &= line != "}"
        code = running.wait()
    return code, "\n".join(lines)


def _json(printed: str) -> Any:
    """Return the JSON that a command printed among lines of progress; None if it did not."""
    begin = 0 if printed.startswith("{\n") else printed.find("\n{\n")
    return None if begin < 0 else json.JSONDecoder().raw_decode(printed[begin:].lstrip())[0]


def _state(code: int, printed: str) -> State[Any]:
    """Return the state that a command's exit code stands for; the last lines say why."""
    printed, _, after = f"\n{printed}".partition("\n{\n")  # JSON is for programs
    lines = [*printed.splitlines(), *after.partition("\n}")[2].splitlines()]
    if code == 0:
        return Completed(message=in_one_line(lines[-1:]) or None)
    name = NAMES.get(Cause(code), FAILED) if code in tuple(Cause) else FAILED
    return Failed(name=name, message=in_one_line(lines[-8:])[-2000:] or f"It ended with {code}.")
