"""A run of a project in Dagster so far: what was asked for, and what came of it."""

import json
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from martfeast.orchestration.command import Command, Running, in_one_line
from martfeast.orchestration.dagster.done import done_before
from martfeast.orchestration.dagster.layout import Layout
from martfeast.problems import ProblemLog
from martfeast.published.release import Release, read_release

REFUSED, USAGE, INFRASTRUCTURE = 1, 2, 3
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


class RunState:
    """What was selected, less what an earlier try of the run has made, and what came of it."""

    def __init__(self, context: dg.AssetExecutionContext, layout: Layout) -> None:
        """Begin with nothing done."""
        self.context = context
        self.layout = layout
        self.steps = layout.steps
        assets, checks = done_before(context)
        self.assets = context.selected_asset_keys - assets
        self.checks = context.selected_asset_check_keys - checks
        self.outcome = Outcome()

    def wanted(self, specs: dict[str, dg.AssetSpec]) -> dict[str, dg.AssetSpec]:
        """Return the assets that are to be made."""
        return {name: spec for name, spec in specs.items() if spec.key in self.assets}

    def wanted_checks(self, specs: dict[str, dg.AssetCheckSpec]) -> dict[str, dg.AssetCheckSpec]:
        """Return the checks that are to be made."""
        return {name: spec for name, spec in specs.items() if spec.key in self.checks}

    def is_blocked(self, *keys: dg.AssetKey) -> bool:
        """Tell whether one of these assets failed, or was not made because of another."""
        return not self.outcome.blocked.isdisjoint(keys)

    def block(self, specs: dict[str, dg.AssetSpec]) -> None:
        """Note that assets are not made."""
        self.outcome.blocked |= {spec.key for spec in specs.values()}

    def release(self) -> Release:
        """Return the release that holds now."""
        return read_release(self.steps.project.artifacts.published_path, ProblemLog())

    def run(self, command: Command, *, refused_is_said: bool = True) -> str | None:
        """Run a command of martfeast or Feast; return what it printed, or None where it failed.

        refused_is_said: whether that evidence refuses is a failure, or what is asked for.
        """
        self.context.log.info(f"{command}")
        with Running(command) as running:
            lines: list[str] = []
            for line in running.lines():
                lines.append(line)
                if "{" not in lines:  # from there on it is JSON, for programs
                    self.context.log.info(line)
            code = running.wait()
        if code == 0 or (code in (REFUSED, USAGE) and not refused_is_said):
            return "\n".join(lines)
        name = " ".join([command.program, *command.arguments[:1]])
        is_worth_a_retry = code == INFRASTRUCTURE or code < 0
        said = in_one_line(running.last_lines[-8:])
        self.outcome.fail(name, said, is_worth_a_retry=is_worth_a_retry)
        return None


def parse_json(printed: str) -> dict[str, Any]:
    """Return the JSON that a command printed, after lines of progress."""
    found: dict[str, Any] = json.loads(printed[printed.index("{\n") :])
    return found
