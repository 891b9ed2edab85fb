"""`dbt build` in a Prefect flow: one process of dbt, and a task for each node that it runs."""

import time
from collections.abc import Mapping
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Failed

from martfeast.orchestration.command import Running, in_one_line
from martfeast.orchestration.content import (
    content_keys,
    nodes_of,
    parents_of,
    reads_of,
    still_there,
)
from martfeast.orchestration.dbt_run import (
    SKIPPED,
    TEST_FAILED,
    NodeFinished,
    NodeStarted,
    Said,
    dbt_events,
)
from martfeast.orchestration.prefect.nodes import (
    FAILED,
    LEVELS,
    NOT_RUN,
    STOPPED,
    Channel,
    made_by,
    run_node,
    skip_node,
)
from martfeast.orchestration.steps import Steps


class Build:
    """Builds and tests nodes; what fails of the surroundings is tried again, with all after it."""

    def __init__(
        self, steps: Steps, wanted: set[str], run_id: str, retries: int, delay: float
    ) -> None:
        """Remember what to build.

        wanted: by unique_id. run_id: of the flow run. retries: how often what failed is tried
        again, delay: how many seconds later.
        """
        self.steps = steps
        self.graph = steps.project.artifacts.graph
        self.nodes = nodes_of(steps)
        self.wanted = wanted
        self.keys = content_keys(steps, run_id)
        self.parents = {one: parents_of(steps, node) for one, node in self.nodes.items()}
        self.retries, self.delay = retries, delay
        self.ended: dict[str, NodeFinished] = {}
        self.open: dict[str, Channel] = {}
        self.tasks: dict[str, PrefectFuture[Any]] = {}
        self.said = ""

    def run(self) -> dict[str, str]:
        """Build; return why nodes did not succeed, by unique_id, and by `dbt` what else failed."""
        cached = self._cached()
        left = self.wanted - cached or self._least(cached)
        self._reuse(cached - left)
        try:
            for attempt in range(self.retries + 1):
                code = self._run_dbt(left)
                left = self._worth_a_retry(left, code)
                if not left or attempt == self.retries:
                    break
                get_run_logger().warning("dbt is run again for %d nodes", len(left))
                time.sleep(self.delay)
        finally:  # tasks must not wait for a dbt that is gone
            for one, channel in self.open.items():
                channel.send(self._last_word(one))
        self._settle()
        return self._failures(code)

    # What need not be built

    def _cached(self) -> set[str]:
        """Return the nodes that were made of the same content, and are still as they were made.

        What is made again is new to all that reads it: to tests, whose evidence it ends.
        """
        keys = {one: self.keys[one] for one in self.wanted}
        there = still_there(self.steps, made_by(keys))
        cached: set[str] = set()
        for one in self.keys:  # parents come first
            parents = {*self.parents[one]} & self.wanted
            if one in there and parents <= cached:
                cached.add(one)
        return cached

    def _reuse(self, cached: set[str]) -> None:
        for one in sorted(cached):
            again = run_node.with_options(**self._named(one), refresh_cache=False)
            self.tasks[one] = again.submit(Channel(self.keys[one]))

    def _least(self, nodes: set[str]) -> set[str]:
        """Return the least to run for dbt to publish at its end: a test, or what nothing reads."""
        read = {parent for one in nodes for parent in self.parents[one]}
        tests = {one for one in nodes if "test" in self.nodes[one]["resource_type"]}
        return set(sorted(tests or nodes - read)[:1])

    # One run of dbt

    def _run_dbt(self, left: set[str]) -> int:
        """Run dbt, and let each node's task follow it; return the exit code."""
        is_all = left == self.nodes.keys()
        command = self.steps.build(None if is_all else sorted(left))
        logger = get_run_logger()
        logger.info("%s", command)
        self.ended = {one: end for one, end in self.ended.items() if one not in left}
        with Running(command) as running:
            for event in dbt_events(running):
                if isinstance(event, Said) and event.unique_id not in self.open:
                    logger.log(LEVELS.get(event.level, 20), event.text)
                elif event.unique_id in self.wanted:
                    self._pass_on(event)
            code = running.wait()
            self.said = in_one_line(running.last_lines[-3:])
        for one in [one for one in self.open if one not in self.ended]:
            self.open[one].send(Failed(name=FAILED, message=f"dbt ended with {code} before it."))
        return code

    def _pass_on(self, event: Said | NodeStarted | NodeFinished) -> None:
        """Send an event to its node's task, which is started with the node."""
        one = event.unique_id
        if isinstance(event, NodeFinished):
            self.ended[one] = event
            if event.status == SKIPPED:
                return  # it may yet be run: its task is started once that is settled
        if one not in self.open:
            self.open[one] = Channel(self.keys[one])
            following = run_node.with_options(
                **self._named(one), retries=self.retries, retry_delay_seconds=0
            )
            before = self._before(one)
            self.tasks[one] = following.submit(self.open[one], return_state=False, wait_for=before)
        self.open[one].send(event)

    def _before(self, unique_id: str) -> list[PrefectFuture[Any]]:
        """Return the tasks of what a node reads, for Prefect to draw."""
        parents = reads_of(self.nodes[unique_id])
        return [self.tasks[one] for one in parents if one in self.tasks and self._is_good(one)]

    def _named(self, unique_id: str) -> dict[str, Any]:
        node = self.nodes[unique_id]
        name = f"{node['resource_type'].replace('_', ' ')} {node['name']}"
        return {"name": name, "task_run_name": name, "tags": [f"dbt:{node['resource_type']}"]}

    # What came of it

    def _is_good(self, unique_id: str) -> bool:
        return unique_id not in self.ended or self.ended[unique_id].has_succeeded

    def _worth_a_retry(self, left: set[str], code: int) -> set[str]:
        """Return what another run of dbt is to do: not what a failed test holds up."""
        failed = {one for one in left if not self._is_good(one)}
        refused = {one for one in failed if self.ended[one].status == TEST_FAILED}
        errors = {one for one in failed - refused if self.ended[one].status != SKIPPED}
        unheard = {one for one in left if one not in self.ended} if code not in (0, 1) else set()
        if errors or unheard:
            return (failed | unheard) - refused - self._blocked_by(refused)
        if code != 0 and not failed:  # what dbt does at its end failed: it publishes marts there
            return self._least(left)
        return set()

    def _blocked_by(self, refused: set[str]) -> set[str]:
        """Return what dbt skips when tests fail: all below everything that one of them reads."""
        reads = {one: set(reads_of(node)) for one, node in self.nodes.items()}
        tested = [reads[one] for one in refused]
        above = {one: {*self.graph.upstream(one)} - {one} for one in self.graph.models}
        blocked = {one for one in above if any(parents <= above[one] for parents in tested)}
        return blocked | {one for one in reads if reads[one] & blocked}

    def _last_word(self, unique_id: str) -> State[Any]:
        """Return the state of a node of which dbt says no more."""
        end = self.ended.get(unique_id)
        if end is None:
            return Cancelled(name=STOPPED, message="dbt was stopped before this node ended.")
        if end.status == SKIPPED:
            return Cancelled(name=NOT_RUN, message=end.message)
        return Failed(name=FAILED, message=end.message)

    def _settle(self) -> None:
        """End the tasks of nodes that dbt skipped, and wait for all."""
        for one, end in sorted(self.ended.items()):
            if end.status == SKIPPED and one not in self.tasks:
                skipped = skip_node.with_options(**self._named(one))
                self.tasks[one] = skipped.submit(end.message or "What it depends on failed.")
        for waited in self.tasks.values():
            waited.wait()

    def _failures(self, code: int) -> dict[str, str]:
        found = {
            one: end.message or end.status
            for one, end in sorted(self.ended.items())
            if not end.has_succeeded
        }
        if code != 0 and not found:
            found["dbt"] = f"dbt ended with {code}: {self.said}"
        return found


def describe(nodes: Mapping[str, str]) -> str:
    """Return in a sentence what did not succeed, by unique_id; the first few of many."""
    named = [f"{one}: {why}" for one, why in list(nodes.items())[:5]]
    return "; ".join(named) + (f"; and {len(nodes) - 5} more" if len(nodes) > 5 else "")
