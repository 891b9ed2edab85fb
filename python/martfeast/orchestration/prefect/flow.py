"""A dbt project as a Prefect flow."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import prefect.runtime.flow_run
from prefect import Flow, Task, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from martfeast.files import locked
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.orchestration.command import Command
from martfeast.orchestration.content import nodes_of
from martfeast.orchestration.prefect import stages
from martfeast.orchestration.prefect.build import Build, describe
from martfeast.orchestration.prefect.nodes import FAILED, REFUSED, UNUSABLE
from martfeast.orchestration.prefect.stages import Stage
from martfeast.orchestration.steps import Steps, read_steps
from martfeast.problems import DeclarationError, did_you_mean, refusal

# What a replay shows of a mart, by the criteria that ask for it.
SHOWN_BY_REPLAY = ("replayed", "increments_equal_full")
Project = str | Path | DbtProject


def flow_for(
    project: Project,
    *,
    feature_repo: str | Path | None = None,
    retries: int = 1,
    retry_delay_seconds: float = 30,
    datasets: bool = True,
) -> Flow[..., Any]:
    """Return a flow that runs a martfeast project: dbt, replay, gate, Feast, datasets.

    Its parameters: ``target``, dbt's; ``marts``, the names of marts, with all that they need, or of
    models by ranges of event time; ``start`` and ``end``, the range in UTC of which those models
    are made anew, the end left out. Without parameters it builds everything.

    Args:
        project: the folder with dbt_project.yml, or with dbt's options too.
        feature_repo: the folder with feature_store.yaml; by default `feature_repo` in the project,
            if there.
        retries: how often it tries again what failed of infrastructure, or a model that failed; a
            test that failed is not run again.
        retry_delay_seconds: how long it waits before that.
        datasets: whether it builds the training sets of exposures.

    """
    dbt_project = project if isinstance(project, DbtProject) else DbtProject(Path(project))
    dbt_project = replace(dbt_project, folder=dbt_project.folder.resolve())
    repo = Path(feature_repo).resolve() if feature_repo else None

    @flow(name=f"martfeast {dbt_project.folder.name}", description=flow_for.__doc__)
    def build(
        target: str | None = None,
        marts: list[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> State[Any]:
        """Run the project; see `flow_for`."""
        options = replace(dbt_project, target=target or dbt_project.target)
        try:
            steps = read_steps(options, repo)
            run = FlowRun(steps, retries, retry_delay_seconds, datasets)
            return run.run(marts or [], start, end)
        except DeclarationError as error:
            return Failed(name=UNUSABLE, message=str(error))

    return build


class FlowRun:
    """One run of the flow: each stage only if what is before it is good."""

    def __init__(self, steps: Steps, retries: int, delay: float, datasets: bool) -> None:
        """Remember how to run. datasets: whether to build training sets."""
        self.steps = steps
        self.retries, self.delay = retries, delay
        self.datasets = datasets
        self.failed: dict[str, str] = {}
        self.kinds: set[str] = set()

    def run(self, marts: list[str], start: datetime | None, end: datetime | None) -> State[Any]:
        """Run all stages; return how the flow ends."""
        with locked(self.steps.lock, "another run of this project is at it"):
            is_made = self._make(marts, start, end)
            is_applied = is_made and self._apply()
        self._serve(is_applied)
        if self.failed:
            kind = UNUSABLE if UNUSABLE in self.kinds else REFUSED
            name = FAILED if self.kinds == {FAILED} else kind
            return Failed(name=name, message=describe(self.failed))
        return Completed(message="All that was asked is done.")

    # dbt

    def _make(self, marts: list[str], start: datetime | None, end: datetime | None) -> bool:
        """Build, or make a range anew; tell whether dbt came to its end."""
        if start is not None or end is not None:
            return self._backfill(marts, start, end)
        wanted = self._needed(marts) if marts else set(nodes_of(self.steps))
        run_id = str(prefect.runtime.flow_run.id)
        failed = Build(self.steps, wanted, run_id, self.retries, self.delay).run()
        self.failed |= failed
        # A model that fails is as wrong the next time; dbt itself that fails need not be.
        self.kinds |= {FAILED if one == "dbt" else REFUSED for one in failed}
        publish = self.steps.publish()
        if publish is not None and "dbt" not in self.failed:
            return self._run("publish", stages.run_command, publish)
        return "dbt" not in self.failed

    def _needed(self, marts: list[str]) -> set[str]:
        """Return marts, all that they are made of, and all that is made of that; with the tests.

        What is made of something that was made again is older than that, and could not be
        published.
        """
        nodes, graph = nodes_of(self.steps), self.steps.project.artifacts.graph
        for name in marts:
            if name not in self.steps.marts:
                advice = did_you_mean(name, self.steps.marts, "`martfeast status` lists them.")
                raise refusal(name, "mart-unknown", "There is no such mart.", advice)
        above = {up for name in marts for up in graph.upstream(self.steps.marts[name].unique_id)}
        again = above & graph.models.keys()  # sources are not made
        made = {one for one in graph.models if not again.isdisjoint(graph.upstream(one))}
        tests = {test.unique_id for test in graph.tests_of(made)}
        return (made | tests) & nodes.keys()

    def _backfill(self, marts: list[str], start: datetime | None, end: datetime | None) -> bool:
        if start is None or end is None:
            raise refusal(
                "range", "range-incomplete", "It has one end only.", "Give start and end."
            )
        batches, graph = self.steps.batches, self.steps.project.artifacts.graph
        named = {graph.models[one].name: one for one in batches}
        for name in marts:
            if name not in named:
                advice = did_you_mean(name, named, f"Those are: {', '.join(named) or 'none'}.")
                message = "It is not made by ranges of event time from a start on."
                raise refusal(name, "not-made-by-ranges", message, advice)
        begin, until = _utc(start), _utc(end)
        groups = self.steps.backfills([named[name] for name in marts or named], begin, until)
        if not groups:
            raise self._no_range(begin, until)
        done = True
        for names, first in groups:
            command = self.steps.backfill(names, first, until)
            name = f"backfill {', '.join(names)} {first:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
            done = done and self._run(name, stages.backfill, command)
        return done

    def _no_range(self, begin: datetime, until: datetime) -> DeclarationError:
        """Return why there is nothing to make in a range."""
        if begin >= until:
            message = f"{begin:%Y-%m-%d %H:%M} is not before {until:%Y-%m-%d %H:%M}."
            advice = "Give start the first moment and end the moment after the last, in UTC."
            return refusal("range", "range-reversed", message, advice)
        if not self.steps.batches:
            advice = "Leave start and end out."
            return refusal("range", "nothing-by-ranges", "No model is made by ranges.", advice)
        first = min(first for _, first in self.steps.batches.values())
        message = f"It ends before histories start; the first one does at {first:%Y-%m-%d %H:%M}."
        return refusal("range", "range-before-start", message, "Begin there.")

    # The gate and Feast

    def _apply(self) -> bool:
        """Replay what is due, ask the gate, and apply; tell whether that is done."""
        ended = self._ended("status", stages.status, self.steps.status())
        if not ended.is_completed():
            return False
        found: dict[str, Any] | None = ended.result()
        assert found is not None, "a status without content"
        due = [mart["mart"] for mart in found["marts"] if _is_replay_due(mart)]
        if due:
            self._run("replay", stages.replay, self.steps.replay(due))
            found = None  # the gate says what that means
        if not self._run("gate", stages.gate, self.steps.status(), found=found):
            return self._skip("feast apply", "The gate refuses.")
        if not self.steps.feature_marts:
            return True
        return self._run("feast apply", stages.run_command, self.steps.apply())

    def _serve(self, is_applied: bool) -> None:
        """Write to the online store, and build training sets, from what is applied."""
        views = self.steps.online_views
        exposures = self.steps.datasets if self.datasets else []
        if not is_applied:
            for name in [
                *(["materialize"] if views else []),
                *(f"dataset {one}" for one in exposures),
            ]:
                self._skip(name, "Nothing new is applied.")
            return
        if views:
            self._run("materialize", stages.run_command, self.steps.materialize(views))
        for one in exposures:
            folder = str(self.steps.project.artifacts.datasets_path / one)
            command = self.steps.dataset(one)
            self._run(f"dataset {one}", stages.dataset, command, exposure=one, folder=folder)

    # A stage

    def _run(self, name: str, stage: Task[..., Any], command: Command, **others: Any) -> bool:
        """Run a stage as a task; tell whether it succeeded."""
        return self._ended(name, stage, command, **others).is_completed()

    def _ended(
        self, name: str, stage: Task[..., Any], command: Command, **others: Any
    ) -> State[Any]:
        named = stage.with_options(
            name=name,
            task_run_name=name,
            retries=self.retries,
            retry_delay_seconds=self.delay,
        )
        # Called, and not submitted: a signal then ends the command with the flow.
        given = Stage(command, self.steps.name)
        ended: State[Any] = named(given, **others, return_state=True)
        if not ended.is_completed():
            self.failed[name] = ended.message or str(ended.name)
            self.kinds.add(str(ended.name))
        return ended

    def _skip(self, name: str, because: str) -> bool:
        skipped: Callable[..., Any] = stages.skip.with_options(name=name, task_run_name=name)
        skipped(because, return_state=True)
        get_run_logger().warning("%s is skipped: %s", name, because)
        return False


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC, without zone; one without zone is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _is_replay_due(mart: dict[str, Any]) -> bool:
    """Tell whether a replay is all that a mart lacks, so that it has something to show."""
    lacks = [name for name, one in mart["criteria"].items() if one["state"] == "fail"]
    return bool(lacks) and set(lacks) <= set(SHOWN_BY_REPLAY)
