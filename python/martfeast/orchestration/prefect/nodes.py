"""A Prefect task for each node of dbt, which lives through what dbt says of that node."""

import logging
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.results import ResultStore
from prefect.states import Cancelled, Completed, Failed

from martfeast.orchestration.dbt_run import SKIPPED, TEST_FAILED, Event, NodeFinished, Said

# The names of final states. The last two are no failures of their own, and no success.
REFUSED, UNUSABLE, FAILED, NOT_RUN, STOPPED = "Refused", "Unusable", "Failed", "Skipped", "Stopped"
LEVELS = {"debug": logging.DEBUG, "warn": logging.WARNING, "error": logging.ERROR}


class Channel:
    """What dbt says of one node, on its way to the node's task.

    key: of the node's content. Whoever opens it sends an end.
    """

    def __init__(self, key: str) -> None:
        """Open it."""
        self.key = key
        self.events: SimpleQueue[Event | State[Any]] = SimpleQueue()

    def send(self, event: Event | State[Any]) -> None:
        """Pass on what dbt says of the node, or the state that its task is to end with."""
        self.events.put(event)


def is_failure_of_surroundings(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Tell whether a state is worth another try: evidence that says no is not."""
    return state.name == FAILED


def _key(_: Any, parameters: Mapping[str, Any]) -> str:
    key: str = parameters["channel"].key
    return key


@task(
    persist_result=True,
    result_serializer="json",
    cache_key_fn=_key,
    refresh_cache=True,
    retry_condition_fn=is_failure_of_surroundings,
    log_prints=False,
)
def run_node(channel: Channel) -> Any:
    """Follow one node of dbt until its end, and end as it does; log what dbt says of it."""
    logger = get_run_logger()
    while True:
        event = channel.events.get()
        if isinstance(event, State):
            return event
        if isinstance(event, NodeFinished):
            return _end(event)
        if isinstance(event, Said):
            logger.log(LEVELS.get(event.level, logging.INFO), event.text)


@task(cache_policy=NO_CACHE, persist_result=False)
def skip_node(because: str) -> State[Any]:
    """End a node that dbt did not run: that is no success."""
    return Cancelled(name=NOT_RUN, message=because)


def _end(event: NodeFinished) -> Any:
    """Return what is kept of a node that succeeded, or else its state."""
    message = event.message or event.status
    if event.status == TEST_FAILED:
        return Failed(name=REFUSED, message=message)
    if event.status == SKIPPED:
        return Cancelled(name=NOT_RUN, message=message)
    if not event.has_succeeded:
        return Failed(name=FAILED, message=message)
    kept = {"made_by": event.invocation_id, "status": event.status, "seconds": event.seconds}
    name = "Warned" if event.status == "warn" else None
    return Completed(name=name, message=message, data=kept) if name else kept


def made_by(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the dbt invocations that are known to have made nodes, by unique_id.

    Args:
        keys: of the content that each is to have, by unique_id.

    """
    store: Any = ResultStore().update_for_task(run_node, _sync=True)  # type: ignore[call-arg]
    found = {}
    for unique_id, key in keys.items():
        if store.exists(key):
            kept = store.read(key).result
            if isinstance(kept, dict) and isinstance(kept.get("made_by"), str):
                found[unique_id] = kept["made_by"]
    return found
