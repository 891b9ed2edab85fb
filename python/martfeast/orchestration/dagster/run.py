"""A run of a project in Dagster: the commands of what was selected, and events of what they did."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from martfeast.files import locked
from martfeast.orchestration.command import Command, Running, in_one_line
from martfeast.orchestration.dagster.done import done_before
from martfeast.orchestration.dagster.events import check_result, output, output_of_node
from martfeast.orchestration.dagster.layout import Layout
from martfeast.orchestration.dbt_run import SKIPPED, NodeFinished, Said, dbt_events
from martfeast.problems import ProblemLog
from martfeast.published.release import Release, read_release

LOCK = ".orchestration.lock"
REFUSED, INFRASTRUCTURE = 1, 3
# What a replay shows of a mart, by the criteria that ask for it.
SHOWN_BY_REPLAY = ("replayed", "increments_equal_full")
Event = dg.Output[None] | dg.AssetCheckResult


@dataclass
class Outcome:
    """What came of a run so far.

    failed: what went wrong, by what it was about. blocked: assets that were not made, because of
    something before them. is_worth_a_retry: whether the same again may succeed: where a model
    failed or a database was locked, and not where a test failed.
    """

    failed: dict[str, str] = field(default_factory=dict)
    blocked: set[dg.AssetKey] = field(default_factory=set)
    is_worth_a_retry: bool = False

    def fail(self, what: str, why: str, *, is_worth_a_retry: bool = False) -> None:
        """Note what went wrong."""
        self.failed[what] = why
        self.is_worth_a_retry |= is_worth_a_retry


class ProjectRun:
    """Makes what was selected, in order, each part only if what is before it is good."""

    def __init__(self, context: dg.AssetExecutionContext, layout: Layout) -> None:
        """Remember what was selected; what an earlier try of the run has made is left out."""
        self.context = context
        self.layout = layout
        self.steps = layout.steps
        assets, checks = done_before(context)
        self.assets = context.selected_asset_keys - assets
        self.checks = context.selected_asset_check_keys - checks
        self.outcome = Outcome()

    def events(self) -> Iterator[Event]:
        """Yield what was made and checked.

        Raises:
            dagster.Failure: something failed or was refused; its description says what.

        """
        published = self.steps.project.artifacts.published_path
        # One writer, whatever the instance's pools say.
        with locked(published / LOCK, "another run of this project is at it"):
            yield from self._nodes()
            yield from self._released()
            yield from self._judged()
        yield from self._online()
        yield from self._datasets()
        self._end()

    # dbt

    def _nodes(self) -> Iterator[Event]:
        nodes = [one for one, spec in self.layout.nodes.items() if spec.key in self.assets]
        tests = [one for one, spec in self.layout.tests.items() if spec.key in self.checks]
        if not nodes and not tests:
            return
        ranged = [one for one in nodes if self._days() and one in self.steps.batches]
        if ranged:
            graph = self.steps.project.artifacts.graph
            below = {one for one in self.layout.nodes if {one, *graph.upstream(one)} & {*ranged}}
            keys = {self.layout.nodes[one].key for one in below}
            nodes = [one for one in nodes if one not in below]
            tests = [one for one in tests if self.layout.tests[one].asset_key not in keys]
        if nodes or tests:
            is_all = len(nodes) == len(self.layout.nodes) and len(tests) == len(self.layout.tests)
            yield from self._dbt(self.steps.build(None if is_all else [*nodes, *tests]))
        if ranged and not self.outcome.failed:
            yield from self._backfill(ranged)

    def _days(self) -> tuple[datetime, datetime] | None:
        """Return the days that are to be made anew, the end left out; None to make what is new.

        The last day alone is what a schedule asks for: dbt makes it, with what came late, as it
        does every day. Where nothing was ever built there is nothing to make anew.
        """
        days = self.layout.days
        if days is None or not self.context.has_partition_key_range:
            return None
        asked = self.context.partition_key_range
        if asked.start == days.get_last_partition_key() or self._release().number == 0:
            return None
        start = datetime.strptime(asked.start, "%Y-%m-%d")
        return start, datetime.strptime(asked.end, "%Y-%m-%d") + timedelta(days=1)

    def _backfill(self, ranged: list[str]) -> Iterator[Event]:
        days = self._days()
        assert days is not None, "no days to make"
        start, end = days
        begins: dict[datetime, list[str]] = {}
        for one in self.steps.roots(ranged):
            begin = max(start, self.steps.batches[one][1])
            begins.setdefault(begin, []).append(one)
        for begin, roots in begins.items():
            if begin < end:
                names = self.steps.names(roots)
                yield from self._dbt(self.steps.backfill(names, begin, end), is_batched=True)

    def _dbt(self, command: Command, *, is_batched: bool = False) -> Iterator[Event]:
        """Run dbt, and yield its nodes as they finish; those of batches once all have."""
        last: dict[str, NodeFinished] = {}
        errors: list[str] = []
        self.context.log.info(f"{command}")
        with Running(command, is_described=not is_batched) as running:
            for event in dbt_events(running):
                if isinstance(event, Said):
                    self._log(event, errors)
                elif isinstance(event, NodeFinished):
                    last[event.unique_id] = event
                    if not is_batched:
                        yield from self._finished(event)
            code = running.wait()
        if is_batched and (code == 0 or (code == REFUSED and not _is_any_failed(last))):
            for event in last.values():
                yield from self._finished(event)
        if code != 0 and not self.outcome.failed:
            is_infrastructure = code not in (REFUSED, 2) or not is_batched
            said = errors[-1] if errors else in_one_line(running.last_lines[-3:])
            self.outcome.fail(command.program, said, is_worth_a_retry=is_infrastructure)

    def _finished(self, event: NodeFinished) -> Iterator[Event]:
        node = self.layout.nodes.get(event.unique_id)
        test = self.layout.tests.get(event.unique_id)
        if node is not None:
            if event.has_succeeded and node.key in self.context.selected_asset_keys:
                yield output_of_node(self.layout, event)
            elif event.status == SKIPPED:
                self.outcome.blocked.add(node.key)
            elif not event.has_succeeded:
                self.outcome.blocked.add(node.key)
                self.outcome.fail(node.key.to_user_string(), event.message, is_worth_a_retry=True)
        elif test is not None and event.status != SKIPPED:
            if test.key in self.context.selected_asset_check_keys:
                yield check_result(test, event)
            if not event.has_succeeded:
                self.outcome.fail(f"test {test.name}", event.message or event.status)
        elif node is None and not event.has_succeeded and event.status != SKIPPED:
            self.outcome.fail(event.unique_id, event.message, is_worth_a_retry=True)

    def _log(self, said: Said, errors: list[str]) -> None:
        """Log a line of dbt's, with the node that it is about before it."""
        name = said.unique_id.split(".")[-1] if said.unique_id else ""
        text = f"[{name}] {said.text}" if name else said.text
        level = {"error": "error", "warn": "warning", "debug": "debug"}.get(said.level, "info")
        getattr(self.context.log, level)(text)
        if said.level == "error":
            errors.append(said.text)

    # What is published, and may it be applied

    def _release(self) -> Release:
        return read_release(self.steps.project.artifacts.published_path, ProblemLog())

    def _released(self) -> Iterator[Event]:
        wanted = {n: spec for n, spec in self.layout.released.items() if spec.key in self.assets}
        publish = self.steps.publish()
        if not wanted or (publish and self._run(publish) is None):
            self.outcome.blocked |= {spec.key for spec in wanted.values()}
            return
        release = self._release()
        for name, spec in wanted.items():
            mart = self.steps.marts[name]
            verdict = release.verdict(mart.unique_id)
            if self.layout.nodes[mart.unique_id].key in self.outcome.blocked:
                self.outcome.blocked.add(spec.key)
            elif verdict.held_back or verdict.version is None:
                self.outcome.blocked.add(spec.key)
                reasons = "; ".join(verdict.held_back) or "it was never published"
                self.outcome.fail(f"release of {name}", reasons)
            else:
                version = verdict.version
                yield output(
                    spec,
                    version.content_hash,
                    {
                        "version": version.name,
                        "release": release.number,
                        "path": dg.MetadataValue.path(str(version.path)),
                        "dagster/row_count": version.row_count,
                        "first_known_at": str(version.first_known_at),
                        "last_known_at": str(version.last_known_at),
                        "warnings": verdict.warnings,
                    },
                )

    def _judged(self) -> Iterator[Event]:
        """Replay the marts that the gate asks it of, judge all, and apply what is declared."""
        replays = self._wanted_checks(self.layout.replay)
        gates = self._wanted_checks(self.layout.gate)
        views = {n: s for n, s in self.layout.feature_views.items() if s.key in self.assets}
        if not (replays or gates or views):
            return
        status = self._status()
        if status is not None and (due := self._replays_due(status, list(replays))):
            self._run(self.steps.replay(due), refused_is_said=False)
            status = self._status()
        if status is None:
            self.outcome.blocked |= {spec.key for spec in views.values()}
            return
        marts = {mart["mart"]: mart for mart in status["marts"]}
        for name, spec in replays.items():
            if name in marts and self.layout.released[name].key not in self.outcome.blocked:
                yield self._replay_result(spec, marts[name])
        for name, spec in gates.items():
            if name in marts:
                yield self._gate_result(spec, marts[name])
        yield from self._feature_views(views, status)

    def _wanted_checks(self, specs: dict[str, dg.AssetCheckSpec]) -> dict[str, dg.AssetCheckSpec]:
        return {name: spec for name, spec in specs.items() if spec.key in self.checks}

    def _replays_due(self, status: dict[str, Any], names: list[str]) -> list[str]:
        """Return the marts of which a replay has something to show, that none has shown."""
        return [
            mart["mart"]
            for mart in status["marts"]
            if mart["mart"] in names
            and self.layout.released[mart["mart"]].key not in self.outcome.blocked
            and any(mart["criteria"][one]["state"] == "fail" for one in SHOWN_BY_REPLAY)
        ]

    def _replay_result(self, spec: dg.AssetCheckSpec, mart: dict[str, Any]) -> dg.AssetCheckResult:
        findings = _findings(mart, SHOWN_BY_REPLAY)
        if findings:
            self.outcome.fail(f"replay of {mart['mart']}", " ".join(findings))
        replay = mart["replay"] or {}
        kept = {
            name: value
            for name, value in replay.items()
            if isinstance(value, str | int | float | bool) and value != ""
        }
        return dg.AssetCheckResult(
            passed=not findings,
            asset_key=spec.asset_key,
            check_name=spec.name,
            metadata={**kept, **({"findings": findings} if findings else {})},
        )

    def _gate_result(self, spec: dg.AssetCheckSpec, mart: dict[str, Any]) -> dg.AssetCheckResult:
        if not mart["is_ready"]:
            self.outcome.fail(f"gate, {mart['mart']}", " ".join(_findings(mart)))
        rows = [
            f"| `{name}` | {criterion['state']} | {' '.join(criterion['findings'])} |"
            for name, criterion in mart["criteria"].items()
        ]
        table = "\n".join(["| criterion | state | findings |", "| --- | --- | --- |", *rows])
        return dg.AssetCheckResult(
            passed=mart["is_ready"],
            asset_key=spec.asset_key,
            check_name=spec.name,
            metadata={"criteria": dg.MetadataValue.md(table)},
        )

    def _status(self) -> dict[str, Any] | None:
        printed = self._run(self.steps.status(), refused_is_said=False)
        return None if printed is None else _json(printed)

    # Feast

    def _feature_views(
        self, views: dict[str, dg.AssetSpec], status: dict[str, Any]
    ) -> Iterator[Event]:
        keys = {spec.key for spec in views.values()}
        if views and not status["is_ready"]:
            for problem in status["problems"]:
                said = f"{problem['message']} {problem['fix']}"
                self.outcome.fail(f"declaration, {problem['subject']}", said)
            waiting = [mart["mart"] for mart in status["marts"] if not mart["is_ready"]]
            why = f"the gate refuses {', '.join(waiting) or 'the declaration'}"
            self.outcome.fail("feast apply", f"{why}; the registry is as it was")
            self.outcome.blocked |= keys
        elif views and self._run(self.steps.apply()) is None:
            self.outcome.blocked |= keys
        elif views:
            marts = {mart["mart"]: mart for mart in status["marts"]}
            for name, spec in views.items():
                feature_mart = self.steps.feature_marts[name]
                metadata = {
                    "version": marts[name]["version"],
                    "path": dg.MetadataValue.path(marts[name]["path"]),
                    "features": feature_mart.features,
                    "entities": feature_mart.entity_columns,
                }
                yield output(spec, None, metadata)

    def _online(self) -> Iterator[Event]:
        wanted = self._unblocked(self.layout.online)
        if not wanted:
            return
        printed = self._run(self.steps.materialize(list(wanted)))
        for spec in wanted.values():
            if printed is None:
                self.outcome.blocked.add(spec.key)
            else:
                yield output(spec, None, {"said": dg.MetadataValue.text(printed)})

    def _datasets(self) -> Iterator[Event]:
        for name, spec in self._unblocked(self.layout.datasets).items():
            printed = self._run(self.steps.dataset(name))
            if printed is None:
                self.outcome.blocked.add(spec.key)
                continue
            record = _json(printed)
            folder = self.steps.project.artifacts.datasets_path / name / f"{record['number']:04}"
            yield output(
                spec,
                record["file"]["sha256"],
                {
                    "number": record["number"],
                    "dagster/row_count": record["file"]["rows"],
                    "path": dg.MetadataValue.path(str(folder)),
                    "card": dg.MetadataValue.url((folder / "card.html").as_uri()),
                    "limits": record["limits"],
                },
            )

    def _unblocked(self, specs: dict[str, dg.AssetSpec]) -> dict[str, dg.AssetSpec]:
        """Return what was selected, and has nothing before it that failed in this run."""
        wanted = {name: spec for name, spec in specs.items() if spec.key in self.assets}
        for spec in wanted.values():
            if {dep.asset_key for dep in spec.deps} & self.outcome.blocked:
                self.outcome.blocked.add(spec.key)
        return {n: spec for n, spec in wanted.items() if spec.key not in self.outcome.blocked}

    # All of them

    def _run(self, command: Command, *, refused_is_said: bool = True) -> str | None:
        """Run a command of martfeast or Feast; return what it printed, or None where it failed.

        refused_is_said: whether that evidence refuses is a failure, or what is asked for.
        """
        self.context.log.info(f"{command}")
        with Running(command) as running:
            lines = []
            for line in running.lines():
                lines.append(line)
                self.context.log.info(line) if len(line) < 2000 else None
            code = running.wait()
        if code == 0 or (code == REFUSED and not refused_is_said):
            return "\n".join(lines)
        name = " ".join([command.program, *command.arguments[:1]])
        is_worth_a_retry = code == INFRASTRUCTURE or code < 0
        said = in_one_line(running.last_lines[-8:])
        self.outcome.fail(name, said, is_worth_a_retry=is_worth_a_retry)
        return None

    def _end(self) -> None:
        if not self.outcome.failed and not self.outcome.blocked:
            return
        failed = "\n".join(f"{what}: {why}" for what, why in self.outcome.failed.items())
        blocked = sorted(key.to_user_string() for key in self.outcome.blocked)
        text = f"{failed}\nNot made because of that: {', '.join(blocked)}" if blocked else failed
        raise dg.Failure(text, allow_retries=self.outcome.is_worth_a_retry)


def _is_any_failed(finished: dict[str, NodeFinished]) -> bool:
    """Tell whether a node other than a test failed."""
    return any(not one.has_succeeded for one in finished.values() if one.failures is None)


def _findings(mart: dict[str, Any], names: tuple[str, ...] = ()) -> list[str]:
    """Return why a mart does not meet criteria; all of them unless some are named."""
    return [
        finding
        for name, criterion in mart["criteria"].items()
        if criterion["state"] == "fail" and (not names or name in names)
        for finding in criterion["findings"]
    ]


def _json(printed: str) -> dict[str, Any]:
    """Return the JSON that a command printed, after lines of progress."""
    found: dict[str, Any] = json.loads(printed[printed.index("{\n") :])
    return found
