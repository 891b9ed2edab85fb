"""Makes past batches of a mart anew, tests them, and publishes them as one release."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from martfeast.backfill.changes import MartChanges, changes_between
from martfeast.backfill.dbt_process import DbtProcess
from martfeast.backfill.evidence import NEWEST, ranges_since, recorded
from martfeast.backfill.plan import BackfillPlan, Range, names_of, plan_backfill
from martfeast.causes import Cause, cause_said
from martfeast.declaration.project import Project, read_project
from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.files import locked, remove, replaced
from martfeast.from_dbt.artifacts import read_settings
from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import DeclarationError, ProblemLog, refusal
from martfeast.published.release import Release, read_release
from martfeast.publishing.publish import publish

STATE, LOCK = "backfill.json", ".backfill.lock"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Backfilled:
    """What a backfill did.

    release: the number of the release that holds now. made, found_done: batches that were made, and
    that an earlier run had made. changes: of each mart that has another version now. held_back: why
    marts were not published, by name.
    """

    release: int
    made: int
    found_done: int
    changes: list[MartChanges]
    held_back: dict[str, list[str]]


def backfill(
    dbt_project: DbtProject,
    names: Sequence[str],
    start: datetime,
    end: datetime,
    say: Say,
    at_once: int = 1,
    *,
    says_nodes: bool = False,
) -> Backfilled:
    """Make past batches of marts anew, and all that depends on them; test, publish them at once.

    A run that is cut off, or fails, has published nothing. Its batches stand: the next run with the
    same range goes on after them, if the code is the same.

    Args:
        dbt_project: the project, with dbt's options.
        names: models that dbt makes by ranges of event time, with batches of one size.
        start: the first moment, UTC.
        end: the moment after the last, UTC.
        say: is told of progress, a line at a time.
        at_once: how many batches each run of dbt makes.
        says_nodes: whether the end of each of dbt's nodes is printed, as a line of JSON.

    Raises:
        DeclarationError: the range or the model cannot be made, or dbt failed; what was published
            before holds.

    """
    _, settings = read_settings(dbt_project)
    target = dbt_project.target_asked_for or settings.get("target")
    profiles_dir = dbt_project.profiles_dir and str(Path(dbt_project.profiles_dir).resolve())
    folder = dbt_project.folder.resolve()
    dbt_project = replace(dbt_project, folder=folder, target=target, profiles_dir=profiles_dir)
    with contextlib.chdir(folder), DbtProcess(_options_of(dbt_project), says_nodes) as dbt:
        _parse(dbt)
        project = read_project(dbt_project)
        now = datetime.now(UTC).replace(tzinfo=None)
        plan = plan_backfill(project, names, start, end, now)
        lock = project.artifacts.published_path / LOCK
        with locked(lock, "another martfeast backfill runs"):
            return _Backfill(dbt, dbt_project, project, plan, say).run(at_once)


def _options_of(dbt_project: DbtProject) -> list[str]:
    target_path = dbt_project.target_path
    return [*dbt_project.arguments, *(("--target-path", target_path) if target_path else ())]


def _parse(dbt: DbtProcess) -> None:
    """Parse the project as it is now, and write its manifest."""
    if failures := dbt.run(["parse"]).failures:
        message = f"dbt cannot parse it: {failures[-1]}."
        raise refusal("dbt project", "not-parsed", message, "Mend it.")


def _published(dbt_project: DbtProject) -> list[str]:
    """Publish what dbt cannot publish itself; return what was said."""
    said: list[str] = []
    publish(dbt_project, said.append)
    return said


class _Backfill:
    def __init__(
        self,
        dbt: DbtProcess,
        dbt_project: DbtProject,
        project: Project,
        plan: BackfillPlan,
        say: Say,
    ) -> None:
        self.dbt = dbt
        self.dbt_project = dbt_project
        self.project = project
        self.plan = plan
        self.say = say
        self.state = project.artifacts.published_path / STATE

    def run(self, at_once: int) -> Backfilled:
        folder = self.project.artifacts.published_path
        before = read_release(folder, ProblemLog())
        done = self._done()
        left = [one for one in self.plan.batches if one not in done]
        if done:
            self.say(f"{self._count(len(done))} of this backfill are made already, and stand")
        self._make_batches(left, at_once, len(done))
        self._make_what_follows()
        if self.project.artifacts.graph.adapter_type != REPLAY_ENGINE:
            for line in self.dbt.call(_published, self.dbt_project):
                self.say(line)
        remove(self.state)
        after = read_release(folder, ProblemLog())
        changes, held_back = self._outcome(before, after)
        return Backfilled(after.number, len(left), len(done), changes, held_back)

    def _make_batches(self, left: list[Range], at_once: int, done: int) -> None:
        """Make the batches that are left. done: how many an earlier run has made.

        Raises:
            DeclarationError: dbt failed.

        """
        began = time.monotonic()
        for number in range(0, len(left), at_once):
            chunk = left[number : number + at_once]
            ran = self.dbt.run(self._command("run", names_of(self.plan.by_batch), chunk))
            if ran.failures:
                stand = done + number + min(ran.batches.get(one, 0) for one in self._ids)
                raise self._failed(ran.failures[-1], stand)
            made = number + len(chunk)
            seconds = (time.monotonic() - began) / made * (len(left) - made)
            self.say(
                f"{chunk[-1][0]:%Y-%m-%d %H:%M}  {self._count(made)} of {len(left):,} made"
                + (f"; about {_span(seconds)} left" if made < len(left) else "")
            )

    def _make_what_follows(self) -> None:
        """Make what depends on the batches, test all, and publish where dbt does.

        Raises:
            DeclarationError: dbt failed; a test that fails holds its mart back, and is only said.

        """
        if self.plan.afterwards:
            names = names_of(self.plan.afterwards)
            self.say(f"building what depends on it: {', '.join(names)}")
            command = self._command("run", names, self.plan.batches)
            if failures := self.dbt.run(command).failures:
                raise self._failed(failures[-1], len(self.plan.batches))
        self.say("testing and publishing")
        ran = self.dbt.run(["test", "--select", *self.plan.tested], may_publish=True)
        for failure in ran.failures:
            self.say(f"dbt says: {failure}")

    def _command(self, command: str, names: list[str], chunk: list[Range]) -> list[str]:
        return [command, "--select", *names, *self._options(chunk)]

    def _options(self, chunk: list[Range]) -> list[str]:
        start, end = chunk[0][0], chunk[-1][1]
        return [
            *("--event-time-start", f"{start:%Y-%m-%d %H:%M:%S}"),
            *("--event-time-end", f"{end:%Y-%m-%d %H:%M:%S}"),
        ]

    def _failed(self, failure: str, made: int) -> DeclarationError:
        return refusal(
            " ".join(self.plan.asked),
            "backfill-failed",
            f"dbt says: {failure}. {self._count(made)} are made and stand; nothing is published.",
            "Mend that, and run the same command: it goes on from there.",
            cause=cause_said(failure, Cause.EVIDENCE),
        )

    def _count(self, count: int) -> str:
        size = self.plan.batch_size
        return f"{count:,} {size}{'s' if count != 1 else ''}"

    def _done(self) -> list[Range]:
        """Return the batches that an earlier run of this backfill has made with this code.

        The evidence says so; the file beside the releases says only when that run began.
        """
        newest = self._evidence(NEWEST)[0]["newest"]
        wanted = {
            "model": " ".join(self.plan.asked),
            "start": f"{self.plan.batches[0][0]}",
            "end": f"{self.plan.batches[-1][1]}",
        }
        try:
            noted = json.loads(self.state.read_text())
        except (FileNotFoundError, ValueError):
            noted = {}
        if {key: noted.get(key) for key in wanted} != wanted:
            if noted:
                self.say(
                    f"the backfill of {noted.get('model')} from {noted.get('start')} to"
                    f" {noted.get('end')} was not finished, and is given up; what it made stands"
                )
            with replaced(self.state) as file:
                file.write_text(json.dumps({**wanted, "after_invocation": newest}))
            return []
        made = [self._made(one, int(noted["after_invocation"])) for one in self._ids]
        return [
            (start, end)
            for start, end in self.plan.batches
            if all(any(first <= start and end <= last for first, last in one) for one in made)
        ]

    @property
    def _ids(self) -> list[str]:
        return [model.unique_id for model in self.plan.by_batch]

    def _made(self, unique_id: str, after: int) -> list[Range]:
        """Return the ranges that runs after an invocation have made of a model with this code."""
        checksum = code_checksum(self.project.artifacts.graph, unique_id)
        # All rows made anew have no start, and a run that was cut off has no end.
        return [
            (row["range_start"] or datetime.min, row["range_end"])
            for row in self._evidence(ranges_since(unique_id, checksum, after))
            if row["range_end"] is not None
        ]

    def _evidence(self, query: str) -> list[dict[str, Any]]:
        artifacts = self.project.artifacts
        asked = (artifacts.target, artifacts.evidence_schema, query)
        return self.dbt.call(recorded, " ".join(self.plan.asked), self.dbt_project, *asked)

    def _outcome(
        self, before: Release, after: Release
    ) -> tuple[list[MartChanges], dict[str, list[str]]]:
        names = {*self.plan.tested}
        graph = self.project.artifacts.graph
        changes, held_back = [], {}
        for mart in self.project.declaration.own_marts.values():
            if graph.models[mart.unique_id].name not in names:
                continue
            old, verdict = before.verdict(mart.unique_id).version, after.verdict(mart.unique_id)
            if verdict.held_back:
                held_back[mart.name] = list(verdict.held_back)
            elif verdict.version is not None:
                changes.append(changes_between(mart, old, verdict.version))
        return changes, held_back


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{round(seconds)} seconds"
