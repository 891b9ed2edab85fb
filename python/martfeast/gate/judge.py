"""Judges whether marts have earned to be features, criterion by criterion.

The criteria are policy: a project may lower one to a warning, and a mart may be excused from one
with a reason and until a date. What Feast cannot do without at all is a problem of the declaration.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from martfeast.causes import Cause
from martfeast.declaration.declared import Mart
from martfeast.declaration.keys import FEAST
from martfeast.gate.criteria import CRITERIA
from martfeast.gate.criterion import (
    FAIL,
    PASS,
    WAIVED,
    WARN,
    Criterion,
    Finding,
    Judgement,
    MartReadiness,
)
from martfeast.gate.evidence import Evidence
from martfeast.gate.shared import criteria_for, evidence_of, notices
from martfeast.places import Place
from martfeast.problems import Problem, ProblemLog, did_you_mean
from martfeast.published.replays import ReplayRecord

_SETTABLE = [criterion.name for criterion in CRITERIA if not criterion.is_fixed]


def judge(
    evidence: Evidence,
    log: ProblemLog,
    replays: Mapping[Path, dict[str, ReplayRecord]] | None = None,
) -> list[MartReadiness]:
    """Judge every mart of a project on every criterion, by name.

    Args:
        evidence: what to judge by. The project's variable ``criteria`` has ``error`` or ``warn`` by
            criterion name.
        log: where settings and waivers that cannot be right go.
        replays: the records of shared marts, by the folder that they are published in.

    """
    levels = _read_levels(evidence, log)
    declaration = evidence.project.declaration
    found = []
    for name, mart in declaration.marts.items():
        shared = declaration.shared.get(name)
        if shared is None:
            found.append(_judge_mart(mart, evidence, CRITERIA, levels, log))
        else:
            theirs = evidence_of(evidence, shared, (replays or {}).get(shared.published_path, {}))
            judged = _judge_mart(mart, theirs, criteria_for(shared), levels, log)
            noted = [*notices(shared, evidence.now), *judged.noted]
            found.append(replace(judged, noted=noted))
    return found


def failures(readiness: list[MartReadiness]) -> list[Problem]:
    """Return what keeps marts from being applied, as problems."""
    return [
        as_problem(mart.mart, judgement.criterion.name, finding)
        for mart in readiness
        for judgement in mart.judgements.values()
        if judgement.state == FAIL
        for finding in judgement.findings
    ]


def as_problem(mart: Mart, criterion: str, finding: Finding) -> Problem:
    """Return a finding as a problem of the mart."""
    file, line = finding.place.file, finding.place.line
    return Problem(mart.name, criterion, finding.message, finding.fix, file, line, Cause.EVIDENCE)


def _judge_mart(
    mart: Mart,
    evidence: Evidence,
    criteria: tuple[Criterion, ...],
    levels: dict[str, Any],
    log: ProblemLog,
) -> MartReadiness:
    waivers, expired = _read_waivers(mart, evidence, log)
    judgements = {}
    for criterion in criteria:
        findings = list(criterion.check(evidence, mart))
        state, waiver = PASS, ""
        if findings:
            waiver = waivers.get(criterion.name, "")
            lowered = levels.get(criterion.name) == "warn" and not criterion.is_fixed
            state = WAIVED if waiver else WARN if lowered else FAIL
            if criterion.name in expired:
                first = findings[0]
                message = f"{first.message} The waiver ended with {expired[criterion.name]}."
                findings[0] = Finding(message, first.fix, first.place)
        judgements[criterion.name] = Judgement(criterion, state, findings, waiver)
    noted = evidence.verdict(mart).warnings
    return MartReadiness(mart, judgements, evidence.replays.get(mart.unique_id), noted)


def _read_levels(evidence: Evidence, log: ProblemLog) -> dict[str, Any]:
    artifacts = evidence.project.artifacts
    levels = artifacts.settings.get("criteria", {})
    steps = ("vars", "martfeast", "criteria")
    place = Place(artifacts.project_dir, "dbt_project.yml", steps)
    if not isinstance(levels, dict):
        fix = "Write a mapping, for example: {described: warn}."
        message = f"{levels!r} is not a mapping."
        log.add(place, "vars.martfeast.criteria", "wrong-value", message, fix)
        return {}
    for name, level in levels.items():
        subject = f"vars.martfeast.criteria.{name}"
        if name not in _SETTABLE:
            fix = did_you_mean(name, _SETTABLE, f"Criteria are: {', '.join(_SETTABLE)}.")
            message = f"'{name}' is not a criterion that can be set."
            log.add(place.at(str(name)), subject, "criterion-unknown", message, fix)
        elif level not in ("error", "warn"):
            message = f"{level!r} is not a level."
            log.add(place.at(str(name)), subject, "wrong-value", message, "Write error or warn.")
    return levels


def _read_waivers(
    mart: Mart, evidence: Evidence, log: ProblemLog
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the waivers that hold (reason and last day), and the last day of those that ended."""
    holding, ended = {}, {}
    place = mart.place.at(*FEAST, "waivers")
    subject = f"{mart.name}.waivers"
    for waiver in mart.waivers:
        name = waiver.get("criterion")
        if name not in _SETTABLE:
            fix = did_you_mean(name, _SETTABLE, f"Criteria are: {', '.join(_SETTABLE)}.")
            message = f"'{name}' is not a criterion that can be waived."
            log.add(place, subject, "criterion-unknown", message, fix)
            continue
        try:
            until = date.fromisoformat(str(waiver.get("until")))
        except ValueError:
            message = f"The waiver of {name} has no last day: until is {waiver.get('until')!r}."
            log.add(place, subject, "waiver-incomplete", message, "Add until: YYYY-MM-DD.")
            continue
        reason = str(waiver.get("reason") or "").strip()
        if not reason:
            message = f"The waiver of {name} gives no reason."
            log.add(place, subject, "waiver-incomplete", message, "Add reason: <why, in words>.")
        elif until < evidence.now.date():
            ended[name] = str(until)
        else:
            holding[name] = f"{reason} (until {until})"
    return holding, ended
