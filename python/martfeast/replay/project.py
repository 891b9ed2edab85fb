"""Replays a dbt project's marts, and keeps what was shown as evidence for the gate."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from martfeast.gate.assess import assess
from martfeast.gate.judge import failures, utc_now
from martfeast.problems import DeclarationError, Problem, did_you_mean, refusal
from martfeast.published.replays import ReplayRecord, write_replays
from martfeast.replay.blind_spots import warnings
from martfeast.replay.lineage import compile_lineage
from martfeast.replay.run import DEFAULT_CUTS, Difference, MartReplay, Replay, Say, replay

ASOF_STORE = {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"}
# What must hold before a mart can be replayed at all.
NEEDED = ("published", "knowledge_time_declared")


@dataclass(frozen=True)
class ProjectReplay:
    """What the replays of a project's marts showed.

    marts: as replayed, and what else forbids to call it passed. warnings: by mart.
    """

    replay: Replay
    marts: list[MartReplay]
    warnings: dict[str, list[Problem]]

    @property
    def has_passed(self) -> bool:
        """Whether no mart knew the future."""
        return all(mart.has_passed for mart in self.marts)

    def report(self) -> str:
        """Return what was shown, as text."""
        width = max(len(mart.mart) for mart in self.marts)
        lines = [f"{'mart':<{width}}  state  cuts  {'rows compared':>13}  {'facts withheld':>14}"]
        for mart in self.marts:
            state = "ok" if mart.has_passed else "FAIL"
            lines.append(
                f"{mart.mart:<{width}}  {state:<5}  {mart.cuts:>4}  {mart.compared:>13,}"
                f"  {mart.withheld:>14,}"
            )
        for mart in self.marts:
            if mart.problem:
                lines += ["", f"{mart.mart}: {mart.problem}."]
            if mart.differences:
                lines += ["", _describe(mart)]
        listed = [problem for problems in self.warnings.values() for problem in problems]
        if listed:
            lines += ["", "To look at:", *map(str, listed)]
        lines += ["", _conclusion(self.marts)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return what was shown, for ``json.dumps``."""
        return {
            "has_passed": self.has_passed,
            "cuts": [
                {
                    "at": cut.at.isoformat(),
                    "reason": cut.reason,
                    "later_facts": cut.perturbation,
                    "withheld": withheld,
                }
                for cut, withheld in zip(self.replay.cuts, self.replay.withheld, strict=True)
            ],
            "marts": [
                {
                    **asdict(mart),
                    "differences": [_as_json(difference) for difference in mart.differences],
                    "has_passed": mart.has_passed,
                    "warnings": [asdict(problem) for problem in self.warnings[mart.mart]],
                }
                for mart in self.marts
            ],
        }


def replay_project(
    dbt_project: str | os.PathLike[str],
    offline_store: dict[str, Any] | None = None,
    names: Iterable[str] = (),
    cut_count: int = DEFAULT_CUTS,
    at: Iterable[datetime] = (),
    say: Say = lambda _: None,
) -> ProjectReplay:
    """Replay marts as of past moments and record what was shown beside what is published.

    Args:
        dbt_project: the folder with dbt_project.yml; any working directory will do.
        offline_store: settings of the Feast offline store to check training with; by default this
            package's.
        names: the marts; by default all.
        cut_count: how many moments to choose. Fewer than the default are no evidence that a mart
            passes; a failure always counts.
        at: moments to replay instead, UTC; no evidence either, unless a mart fails.
        say: is told of progress, a line at a time.

    Raises:
        DeclarationError: there is no project, a mart is not there or not published by its present
            code, or something cannot be replayed.

    """
    from martfeast.replay.serving import ServingCheck

    assessment = assess(dbt_project)
    artifacts, declaration = assessment.artifacts, assessment.declaration
    wanted = list(names)
    for name in wanted:
        if name not in declaration.marts:
            known = list(declaration.marts)
            advice = did_you_mean(name, known, f"Marts are: {', '.join(known) or 'none'}.")
            raise refusal(name, "mart-unknown", "There is no such mart.", advice)
    asked = [one for one in assessment.readiness if not wanted or one.mart.name in wanted]
    refused = assessment.problems + [one for one in failures(asked) if one.rule in NEEDED]
    if refused:
        raise DeclarationError(refused)
    marts = [mart for name, mart in declaration.marts.items() if not wanted or name in wanted]
    say("compiling the project")
    lineage = compile_lineage(artifacts, [mart.unique_id for mart in marts])
    settings = artifacts.settings.get("replay", {})
    moments = list(at)
    with ServingCheck(declaration, marts, offline_store or ASOF_STORE) as serving:
        replayed = replay(
            marts,
            lineage,
            str(artifacts.project_dir),
            cut_count,
            moments,
            settings.get("time_zones", []),
            serving,
            say,
        )
    label_upstream = {
        one.mart.name: finding.message.rstrip(".")
        for one in assessment.readiness
        for finding in one.judgements["no_label_upstream"].findings
    }
    marts_replayed = [
        replace(one, problem=label_upstream.get(one.mart, one.problem)) for one in replayed.marts
    ]
    found = {mart.name: warnings(lineage, mart.unique_id, artifacts.project_dir) for mart in marts}
    is_evidence = cut_count >= DEFAULT_CUTS and not moments
    write_replays(
        artifacts.published_path,
        {
            result.unique_id: ReplayRecord(
                lineage={
                    name: artifacts.replay_checksum(name)
                    for name in sorted(lineage.above(result.unique_id))
                },
                replayed_at=f"{utc_now():%Y-%m-%d %H:%M:%S}",
                cuts=result.cuts,
                compared=result.compared,
                withheld=result.withheld,
                failure=_failure(result),
                warnings=[problem.message for problem in found[result.mart]],
            )
            for result in replayed.marts
            if is_evidence or result.differences
        },
    )
    return ProjectReplay(replayed, marts_replayed, found)


def _failure(mart: MartReplay) -> str:
    if mart.differences:
        first = mart.differences[0]
        late = f", through later facts of {'; '.join(first.late)}" if first.late else ""
        return f"at {len(mart.differences)} of {mart.cuts} cuts it knew the future{late}"
    return mart.problem


def _describe(mart: MartReplay) -> str:
    """Return how a mart knew the future, as text."""
    first = mart.differences[0]
    columns: dict[str, int] = {}
    for difference in mart.differences:
        for name, count in difference.changed.items():
            columns[name] = columns.get(name, 0) + count
    lines = [
        f"{mart.mart} knew the future at {len(mart.differences)} of {mart.cuts} cuts:"
        f" {sum(d.missing for d in mart.differences):,} rows that could not be known,"
        f" {sum(d.extra for d in mart.differences):,} that are gone since",
        *(f"  {name} changed in {count:,} rows" for name, count in columns.items()),
        f"  likely through later facts of: {', '.join(first.late) or 'several relations together'}",
        f"  first seen at {first.cut}:",
        *(f"    {example}" for example in first.examples),
    ]
    return "\n".join(lines)


def _as_json(difference: Difference) -> dict[str, Any]:
    return {
        "at": difference.cut.at.isoformat(),
        "reason": difference.cut.reason,
        "later_facts": difference.cut.perturbation,
        "compared": difference.compared,
        "missing": difference.missing,
        "extra": difference.extra,
        "changed": difference.changed,
        "examples": difference.examples,
        "late": difference.late,
    }


def _conclusion(marts: list[MartReplay]) -> str:
    failed = [mart.mart for mart in marts if not mart.has_passed]
    if failed:
        return f"failed: {', '.join(failed)}"
    compared = sum(mart.compared for mart in marts)
    return f"passed: {len(marts)} marts never knew the future in {compared:,} rows compared"
