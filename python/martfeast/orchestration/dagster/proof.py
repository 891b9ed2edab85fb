"""What is published after a run, what replays show of it, and whether the gate lets it pass."""

from collections.abc import Generator, Iterator
from typing import Any

import dagster as dg

from martfeast.orchestration.dagster.events import output
from martfeast.orchestration.dagster.state import Event, RunState, parse_json

# What a replay shows of a mart, by the criteria that ask for it.
SHOWN_BY_REPLAY = ("replayed", "increments_equal_full")


class ProofRun:
    """Reads the release, replays what the gate asks for, and asks the gate."""

    def __init__(self, state: RunState) -> None:
        """Remember the run."""
        self.state = state

    def released(self) -> Iterator[Event]:
        """Yield the versions that are published, of marts that nothing holds back."""
        wanted = self.state.wanted(self.state.layout.released)
        publish = self.state.steps.publish()
        if not wanted or (publish and self.state.run(publish) is None):
            self.state.block(wanted)
            return
        release = self.state.release()
        for name, spec in wanted.items():
            mart = self.state.steps.marts[name]
            verdict = release.verdict(mart.unique_id)
            if self.state.is_blocked(self.state.layout.nodes[mart.unique_id].key):
                self.state.outcome.blocked.add(spec.key)
            elif verdict.held_back or verdict.version is None:
                self.state.outcome.blocked.add(spec.key)
                reasons = "; ".join(verdict.held_back) or "it was never published"
                self.state.outcome.fail(f"release of {name}", reasons)
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

    def judged(self) -> Generator[Event, None, dict[str, Any] | None]:
        """Replay the marts that the gate asks it of, and judge all.

        Returns:
            What `martfeast status` says; None if nothing asks for it, or it failed.

        """
        state = self.state
        replays = state.wanted_checks(state.layout.replay)
        gates = state.wanted_checks(state.layout.gate)
        if not (replays or gates or state.wanted(state.layout.feature_views)):
            return None
        status = self._status()
        if status is not None and (due := self._replays_due(status, list(replays))):
            state.run(state.steps.replay(due), refused_is_said=False)
            status = self._status()
        if status is None:
            return None
        marts = {mart["mart"]: mart for mart in status["marts"]}
        for name, spec in replays.items():
            if name in marts and not state.is_blocked(state.layout.released[name].key):
                yield self._replay_result(spec, marts[name])
        for name, spec in gates.items():
            if name in marts:
                yield self._gate_result(spec, marts[name])
        return status

    def _replays_due(self, status: dict[str, Any], names: list[str]) -> list[str]:
        """Return the marts of which a replay has something to show, that none has shown."""
        return [
            mart["mart"]
            for mart in status["marts"]
            if mart["mart"] in names
            and not self.state.is_blocked(self.state.layout.released[mart["mart"]].key)
            and any(mart["criteria"][one]["state"] == "fail" for one in SHOWN_BY_REPLAY)
        ]

    def _replay_result(self, spec: dg.AssetCheckSpec, mart: dict[str, Any]) -> dg.AssetCheckResult:
        findings = _findings(mart, SHOWN_BY_REPLAY)
        if findings:
            self.state.outcome.fail(f"replay of {mart['mart']}", " ".join(findings))
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
            self.state.outcome.fail(f"gate, {mart['mart']}", " ".join(_findings(mart)))
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
        printed = self.state.run(self.state.steps.status(), refused_is_said=False)
        if printed is None or "{\n" in printed:
            return None if printed is None else parse_json(printed)
        self.state.outcome.fail("martfeast status", " ".join(printed.split()))
        return None


def _findings(mart: dict[str, Any], names: tuple[str, ...] = ()) -> list[str]:
    """Return why a mart does not meet criteria; all of them unless some are named."""
    return [
        finding
        for name, criterion in mart["criteria"].items()
        if criterion["state"] == "fail" and (not names or name in names)
        for finding in criterion["findings"]
    ]
