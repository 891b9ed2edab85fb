"""Says how marts stand, as text of up to 100 columns and as JSON."""

import textwrap
from dataclasses import asdict
from typing import Any

from martfeast.declaration.shared import SharedMart
from martfeast.gate.assess import Assessment
from martfeast.gate.criteria import CRITERIA
from martfeast.gate.criterion import FAIL, PASS, WAIVED, WARN, Criterion, MartReadiness
from martfeast.gate.shared import notices
from martfeast.published.release import newer_release
from martfeast.published.replays import ReplayRecord, in_words

WIDTH = 100
_SIGNS = {PASS: "ok", FAIL: "FAIL"}


def notes(assessment: Assessment) -> list[str]:
    """Return a line for each thing that does not stop an apply and yet is to be known."""
    lines = []
    release = assessment.project.release
    if newer := newer_release(assessment.project.artifacts.published_path, release):
        lines.append(
            f"warning: release {release.number} holds, and there is a release {newer}: an older one"
            " was brought back, or dbt was cut off before the newer one held; run `dbt build`"
        )
    for mart in assessment.readiness:
        for judgement in mart.judgements.values():
            if judgement.state in (PASS, FAIL):
                continue
            why = "; ".join(finding.message for finding in judgement.findings)
            state = "waived" if judgement.state == WAIVED else "warning"
            reason = f" Waived: {judgement.waiver}" if judgement.waiver else ""
            lines.append(f"{state}: {mart.mart.name} [{judgement.criterion.name}] {why}{reason}")
        lines += [f"warning: {mart.mart.name} [replayed] {warning}" for warning in mart.warnings]
        lines += [f"warning: {mart.mart.name}: {warning}" for warning in mart.noted]
    for shared in assessment.project.shared:
        if shared.mart.name not in assessment.project.declaration.shared:  # only models read it
            lines += [f"warning: {shared.source.alias}: {notice}" for notice in notices(shared)]
    if trusted := in_words(*(one.replay.trusted for one in assessment.readiness if one.replay)):
        lines.append(f"on trust: when rows were known of {trusted}")
    return lines


def readiness_table(readiness: list[MartReadiness]) -> str:
    """Return a line for each mart: ok or FAIL, and the criteria that it does not pass."""
    width = min(max(len(one.mart.name) for one in readiness), WIDTH // 2)
    lines = [f"{'mart':<{width}}  state  criteria"]
    for one in readiness:
        names = {
            state: [name for name, found in one.judgements.items() if found.state == state]
            for state in (FAIL, WARN, WAIVED, PASS)
        }
        parts = [f"{state} {', '.join(names[state])}" for state in (FAIL, WARN, WAIVED)]
        told = [
            part for part, state in zip(parts, (FAIL, WARN, WAIVED), strict=True) if names[state]
        ]
        told.append(f"{len(names[PASS])} of {len(one.judgements)} pass")
        state = "ok" if one.is_ready else "FAIL"
        indent = " " * (width + 9)
        name = one.mart.name
        if len(name) > width:
            lines.append(name)
            name = ""
        lines.append(
            textwrap.fill(
                "; ".join(told),
                WIDTH,
                initial_indent=f"{name:<{width}}  {state:<5}  ",
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


def project_report(assessment: Assessment) -> str:
    """Return how a project stands: the table, what is in the way, and what is let pass."""
    refusals = assessment.refusals
    parts = []
    if assessment.readiness:
        parts.append(readiness_table(assessment.readiness))
    if assessment.project.shared:
        lines = [
            f"  {one.source.alias} {shared_in_words(one)}" for one in assessment.project.shared
        ]
        parts.append("\n".join(["shared by other projects", *map(wrapped, lines)]))
    if refusals:
        count = "1 thing keeps" if len(refusals) == 1 else f"{len(refusals)} things keep"
        head = f"not ready: {count} `feast apply` from passing"
        parts.append("\n".join([head, *(wrapped(str(problem)) for problem in refusals)]))
    lines = notes(assessment)
    if lines:
        parts.append("\n".join(map(wrapped, lines)))
    if not refusals:
        declaration = assessment.project.declaration
        parts.append(
            f"ready: {len(declaration.feature_marts)} feature views,"
            f" {len(declaration.exposures)} services, {len(declaration.label_marts)} label marts;"
            f" release {assessment.project.release.number}"
        )
    return "\n\n".join(parts)


def shared_in_words(shared: SharedMart) -> str:
    """Return whose a shared mart is, and which version of which release of it is read."""
    version, ends = shared.mart.version, shared.terms.deprecation_date
    return (
        f"is {shared.verdict.mart} of {shared.project} ({shared.owner}),"
        f" version {version.name if version else 'none'},"
        f" release {shared.release.number} in {shared.published_path}"
        f"{f'; deprecation date {ends[:10]}' if ends else ''}"
    )


def mart_report(readiness: MartReadiness, shared: SharedMart | None = None) -> str:
    """Return how one mart stands on each criterion, and what is published of it.

    shared: what another project's release says of it, if it is another project's.
    """
    mart = readiness.mart
    lines = [f"{mart.name}  ({mart.unique_id})"]
    if shared is not None:
        lines.append(f"  shared      {shared.source.alias} {shared_in_words(shared)}")
    if mart.version is None:
        lines.append("  published   nothing yet")
    else:
        version = mart.version
        passed = sum(status == "pass" for status, _ in version.tests.values())
        lines += [
            f"  published   version {version.name}, {version.row_count:,} rows,"
            f" known from {version.first_known_at} to {version.last_known_at} UTC",
            f"  file        {version.path}"
            f"{'' if version.file.sha256 else ' (too large to read whole: taken on trust)'}",
            f"  vouched     {passed} of {len(version.tests)} tests passed;"
            f" content {version.content_hash}, built by dbt invocation {version.built_by}",
        ]
        if version.history.restated_partitions:
            lines.append(
                f"  restated    {version.history.restated_row_count:,} of"
                f" {version.history.covered_row_count:,} rows, in {version.history.newest()}"
            )
    if readiness.replay is not None:
        lines.append(f"  replayed    {replay_in_words(readiness.replay)}")
        if readiness.replay.trusted:
            lines.append(f"  on trust    {in_words(readiness.replay.trusted)}")
    lines += [f"  warning     {warning}" for warning in readiness.noted]
    for judgement in readiness.judgements.values():
        lines.append("")
        state = _SIGNS.get(judgement.state, judgement.state)
        lines.append(f"  {judgement.criterion.name}: {state}")
        lines.append(f"    {judgement.criterion.sentence}")
        lines += [f"    {finding.message} {finding.fix}" for finding in judgement.findings]
        if judgement.waiver:
            lines.append(f"    Waived: {judgement.waiver}")
    return "\n".join(map(wrapped, lines))


def replay_in_words(replay: ReplayRecord) -> str:
    """Return when a mart was replayed, and at how many moments."""
    return (
        f"{replay.replayed_at} UTC, at {replay.cuts} moments that showed something"
        f" ({replay.asked or 'none'} were to be chosen)"
        f"{', all that its data has' if replay.enough < replay.asked else ''}:"
        f" {replay.compared:,} rows compared{_engines(replay)}"
    )


def _engines(replay: ReplayRecord) -> str:
    """Return where a replay was shown, if that is not where the mart is built."""
    if replay.replayed_on == replay.built_on:
        return ""
    return (
        f"; shown on {replay.replayed_on}, parity with {replay.built_on} shown by the published"
        " rows, which it made the same of the same inputs"
    )


def wrapped(text: str) -> str:
    """Break lines of text that are too long, and indent what goes on; a path stays whole."""
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines.append(
            textwrap.fill(
                line,
                WIDTH,
                subsequent_indent=indent + "  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


def as_json(assessment: Assessment, readiness: list[MartReadiness]) -> dict[str, Any]:
    """Return how a project, or some of its marts, stand, for ``json.dumps``."""
    return {
        "is_ready": not assessment.refusals,
        "release": assessment.project.release.number,
        "problems": [asdict(problem) for problem in assessment.problems],
        "marts": [_mart(mart) for mart in readiness],
        "shared": [_shared(one) for one in assessment.project.shared],
    }


def _shared(shared: SharedMart) -> dict[str, Any]:
    return {
        "source": shared.source.unique_id,
        "mart": shared.verdict.mart,
        "unique_id": shared.mart.unique_id,
        "owner": shared.owner,
        "published_path": str(shared.published_path),
        "release": shared.release.number,
        "version": shared.mart.version.name if shared.mart.version else None,
        "deprecation_date": shared.terms.deprecation_date,
        "notices": list(notices(shared)),
    }


def _mart(readiness: MartReadiness) -> dict[str, Any]:
    version = readiness.mart.version
    return {
        "mart": readiness.mart.name,
        "unique_id": readiness.mart.unique_id,
        "owner": readiness.mart.owner,
        "is_ready": readiness.is_ready,
        "version": version.name if version else None,
        "path": str(version.path) if version else None,
        "row_count": version.row_count if version else None,
        "warnings": readiness.noted,
        "replay": readiness.replay.model_dump(exclude={"lineage"}) if readiness.replay else None,
        "criteria": {
            name: {
                "state": judgement.state,
                "findings": [f"{found.message} {found.fix}" for found in judgement.findings],
                "waiver": judgement.waiver or None,
            }
            for name, judgement in readiness.judgements.items()
        },
    }


def criteria_table(criteria: tuple[Criterion, ...] = CRITERIA) -> str:
    """Return the criteria as a Markdown table, for the docs."""
    rows = ["| criterion | what must hold | question it answers |", "| --- | --- | --- |"]
    rows += [f"| `{c.name}` | {c.sentence} | {c.question} |" for c in criteria]
    return "\n".join(rows)
