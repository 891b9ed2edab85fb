"""What dbt makes in a run: models, seeds, snapshots and tests; or past days of what has them."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from martfeast.orchestration.command import Command, Running, in_one_line
from martfeast.orchestration.dagster.events import check_result, output_of_node
from martfeast.orchestration.dagster.state import REFUSED, USAGE, Event, RunState
from martfeast.orchestration.dbt_run import SKIPPED, NodeFinished, Said, dbt_events


class NodeRun:
    """Runs dbt, and the backfill of past days, for the nodes that were selected."""

    def __init__(self, state: RunState) -> None:
        """Remember the run."""
        self.state = state
        self.layout = state.layout
        self.steps = state.steps
        self.outcome = state.outcome
        self.told: set[str] = set()
        self.held_back = ""

    def events(self) -> Iterator[Event]:
        """Yield what was made and tested, as it is."""
        nodes = list(self.state.wanted(self.layout.nodes))
        tests = list(self.state.wanted_checks(self.layout.tests))
        days = self._days()
        ranged = [one for one in nodes if one in self.steps.batches] if days else []
        if ranged:
            # The backfill makes and tests these too.
            graph = self.steps.project.artifacts.graph
            below = {one for one in self.layout.nodes if {one, *graph.upstream(one)} & {*ranged}}
            keys = {self.layout.nodes[one].key for one in below}
            nodes = [one for one in nodes if one not in below]
            tests = [one for one in tests if self.layout.tests[one].asset_key not in keys]
        if nodes or tests:
            selected = [*nodes, *tests]
            is_all = len(selected) == len(self.layout.nodes) + len(self.layout.tests)
            yield from self._build(None if is_all else selected)
        if days and ranged and not self.outcome.failed:
            yield from self._backfill(ranged, *days)

    def _days(self) -> tuple[datetime, datetime] | None:
        """Return the days that are to be made anew, the end left out; None to make what is new.

        The last day alone is what a schedule asks for: dbt makes it, with what came late, as it
        does every day. Where nothing was ever built there is nothing to make anew.
        """
        days, context = self.layout.days, self.state.context
        if days is None:
            return None
        if not (context.has_partition_key or context.has_partition_key_range):
            # Dagster would refuse the first output of such an asset, in the middle of dbt's run.
            if {one.key for one in self.layout.specs if one.partitions_def} & self.state.assets:
                newest = days.get_last_partition_key()
                raise dg.Failure(
                    "This run has no day, and what it is to make has days. Choose one: with the"
                    f" newest, {newest}, dbt makes what is new. On the command line: --partition"
                    f""" {newest}, or --tags '{{"dagster/partition": "{newest}"}}'.""",
                    allow_retries=False,
                )
            return None
        asked = context.partition_key_range
        if asked.start == days.get_last_partition_key() or self.state.release().number == 0:
            return None
        start = datetime.strptime(asked.start, "%Y-%m-%d")
        return start, datetime.strptime(asked.end, "%Y-%m-%d") + timedelta(days=1)

    def _backfill(self, ranged: list[str], start: datetime, end: datetime) -> Iterator[Event]:
        """Make days anew, by one command where batches have one size.

        What a batch or another command makes once more is one event: how it ended last.
        """
        last: dict[str, NodeFinished] = {}
        for names, begin in self.steps.backfills(ranged, start, end):
            if self.outcome.failed:
                break
            for event in self._dbt(self.steps.backfill(names, begin, end), is_batched=True):
                last[event.unique_id] = event
        for event in last.values():
            yield from self._finished(event)
        if self.held_back and not self.outcome.failed:
            self.outcome.fail("martfeast backfill", self.held_back)

    def _build(self, selected: list[str] | None) -> Iterator[Event]:
        """Build and test nodes, all if none are named; each is told of as it ends."""
        for event in self._dbt(self.steps.build(selected)):
            yield from self._finished(event)

    def _dbt(self, command: Command, *, is_batched: bool = False) -> Iterator[NodeFinished]:
        """Run dbt; yield the end of each node, or if it is batched, of all that a good end has."""
        last: dict[str, NodeFinished] = {}
        errors: list[str] = []
        self.state.context.log.info(f"{command}")
        with Running(command, is_described=not is_batched) as running:
            for event in dbt_events(running):
                if isinstance(event, Said):
                    self._log(event, errors)
                elif isinstance(event, NodeFinished):
                    last[event.unique_id] = event
                    if not is_batched:
                        yield event
            code = running.wait()
        is_refused = code == REFUSED and not _is_any_failed(last)
        if is_batched and (code == 0 or is_refused):
            yield from last.values()
        said = errors[-1] if errors else in_one_line(running.last_lines[-3:])
        if is_batched and is_refused:
            self.held_back = said
        elif code != 0 and not self.outcome.failed:
            # dbt says 2 of whatever stopped it, a locked database too.
            is_final = is_batched and code in (REFUSED, USAGE)
            self.outcome.fail(command.program, said, is_worth_a_retry=not is_final)

    def _finished(self, event: NodeFinished) -> Iterator[Event]:
        node = self.layout.nodes.get(event.unique_id)
        test = self.layout.tests.get(event.unique_id)
        if node is not None:
            if event.has_succeeded:
                if self._is_new(event, node.key in self.state.context.selected_asset_keys):
                    yield output_of_node(self.layout, event)
                return
            self.outcome.blocked.add(node.key)
            if event.status != SKIPPED:
                what = node.key.to_user_string()
                self.outcome.fail(what, event.message, is_worth_a_retry=True)
        elif event.status == SKIPPED:
            return
        elif test is not None:
            if self._is_new(event, test.key in self.state.context.selected_asset_check_keys):
                yield check_result(test, event)
            if not event.has_succeeded:
                self.outcome.fail(f"test {test.name}", event.message or event.status)
        elif not event.has_succeeded:
            self.outcome.fail(event.unique_id, event.message, is_worth_a_retry=True)

    def _is_new(self, event: NodeFinished, is_selected: bool) -> bool:
        """Tell whether Dagster is to be told of a node's end: it takes one from a run."""
        is_new = is_selected and event.unique_id not in self.told
        self.told.add(event.unique_id)
        return is_new

    def _log(self, said: Said, errors: list[str]) -> None:
        """Log a line of dbt's, with the node that it is about before it."""
        # The kind, the package, the name; of some, a version or a hash.
        name = said.unique_id.split(".")[2] if said.unique_id else ""
        text = f"[{name}] {said.text}" if name else said.text
        level = {"error": "error", "warn": "warning", "debug": "debug"}.get(said.level, "info")
        getattr(self.state.context.log, level)(text)
        if said.level == "error":
            errors.append(said.text)


def _is_any_failed(finished: dict[str, NodeFinished]) -> bool:
    """Tell whether a node other than a test failed."""
    return any(not one.has_succeeded for one in finished.values() if one.failures is None)
