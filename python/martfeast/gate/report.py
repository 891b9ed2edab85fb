"""Says how marts stand, as text and as JSON."""

from typing import TYPE_CHECKING, Any

from martfeast.gate.assess import Assessment
from martfeast.gate.judge import CRITERIA, FAIL, PASS, WAIVED, Criterion, MartReadiness
from martfeast.problems import Problem

if TYPE_CHECKING:
    from martfeast.datasets.build import Dataset

_SIGNS = {PASS: "ok", FAIL: "FAIL"}


def notes(readiness: list[MartReadiness]) -> list[str]:
    """Return a line for each criterion that does not pass and yet does not stop an apply."""
    lines = []
    for mart in readiness:
        for judgement in mart.judgements.values():
            if judgement.state in (PASS, FAIL):
                continue
            why = "; ".join(finding.message for finding in judgement.findings)
            state = "waived" if judgement.state == WAIVED else "warning"
            reason = f" Waived: {judgement.waiver}" if judgement.waiver else ""
            lines.append(f"{state}: {mart.mart.name} [{judgement.criterion.name}] {why}{reason}")
        lines += [f"warning: {mart.mart.name} [replayed] {warning}" for warning in mart.warnings]
    return lines


def readiness_table(readiness: list[MartReadiness]) -> str:
    """Return the marts by criteria, each cell ok, FAIL, warn or waived."""
    headers = [criterion.name.split("_") for criterion in CRITERIA]
    height = max(len(words) for words in headers)
    stacked = [[""] * (height - len(words)) + words for words in headers]
    rows = [
        ["mart" if level == height - 1 else "", *(words[level] for words in stacked)]
        for level in range(height)
    ]
    for mart in readiness:
        states = [mart.judgements[criterion.name].state for criterion in CRITERIA]
        rows.append([mart.mart.name, *(_SIGNS.get(state, state) for state in states)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def project_report(assessment: Assessment) -> str:
    """Return how a project stands: the table, what is in the way, and what is let pass."""
    refusals = assessment.refusals
    parts = []
    if assessment.readiness:
        parts.append(readiness_table(assessment.readiness))
    if refusals:
        count = "1 thing keeps" if len(refusals) == 1 else f"{len(refusals)} things keep"
        head = f"not ready: {count} `feast apply` from passing"
        parts.append("\n".join([head, *(str(problem) for problem in refusals)]))
    lines = notes(assessment.readiness)
    if lines:
        parts.append("\n".join(lines))
    if not refusals:
        declaration = assessment.declaration
        parts.append(
            f"ready: {len(declaration.feature_marts)} feature views,"
            f" {len(declaration.exposures)} services, {len(declaration.label_marts)} label marts;"
            f" release {assessment.release.number}"
        )
    return "\n\n".join(parts)


def mart_report(readiness: MartReadiness) -> str:
    """Return how one mart stands on each criterion, and what is published of it."""
    mart = readiness.mart
    lines = [f"{mart.name}  ({mart.unique_id})"]
    if mart.version is None:
        lines.append("  published   nothing yet")
    else:
        version = mart.version
        passed = sum(status == "pass" for status, _ in version.tests.values())
        lines += [
            f"  published   version {version.name}, {version.row_count:,} rows,"
            f" known from {version.first_known_at} to {version.last_known_at} UTC",
            f"  file        {version.path}",
            f"  vouched     {passed} of {len(version.tests)} tests passed;"
            f" content {version.content_hash}, built by dbt invocation {version.built_by}",
        ]
    for judgement in readiness.judgements.values():
        lines.append("")
        state = _SIGNS.get(judgement.state, judgement.state)
        lines.append(f"  {judgement.criterion.name}: {state}")
        lines.append(f"    {judgement.criterion.sentence}")
        lines += [f"    {finding.message} {finding.fix}" for finding in judgement.findings]
        if judgement.waiver:
            lines.append(f"    Waived: {judgement.waiver}")
    return "\n".join(lines)


def as_json(assessment: Assessment, readiness: list[MartReadiness]) -> dict[str, Any]:
    """Return how a project, or some of its marts, stand, for ``json.dumps``."""
    return {
        "is_ready": not assessment.refusals,
        "release": assessment.release.number,
        "problems": [_problem(problem) for problem in assessment.problems],
        "marts": [_mart(mart) for mart in readiness],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "subject": problem.subject,
        "rule": problem.rule,
        "message": problem.message,
        "fix": problem.fix,
        "file": problem.file,
        "line": problem.line,
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
        "criteria": {
            name: {
                "state": judgement.state,
                "findings": [f"{found.message} {found.fix}" for found in judgement.findings],
                "waiver": judgement.waiver or None,
            }
            for name, judgement in readiness.judgements.items()
        },
    }


def dataset_report(dataset: "Dataset") -> str:
    """Return what a dataset holds, step by step, and what to know before using it."""
    record = dataset.record
    state = "built" if dataset.is_new else "there already, with the same inputs"
    lines = [f"{record['name']} version {record['number']}: {state}"]
    for step in record["steps"]:
        out = ", ".join(f"{n:,} {reason}" for reason, n in step["left_out"].items())
        lines.append(f"  {step['rows']:>13,}  {step['step']}{f' (left out: {out})' if out else ''}")
    if record["limits"]:
        lines += ["", "To know before using it:", *(f"  {limit}" for limit in record["limits"])]
    if record["changes"]:
        lines += ["", f"Since version {record['number'] - 1}:"]
        lines += [f"  {change}" for change in record["changes"]]
    return "\n".join(
        [
            *lines,
            "",
            f"  data   {dataset.path / record['file']['name']}"
            f"  (sha256 {record['file']['sha256'][:12]}..., {record['file']['bytes']:,} bytes)",
            f"  card   {dataset.path / 'card.html'}",
            f"  Feast  store.get_saved_dataset('{record['saved_dataset']}')",
        ]
    )


def criteria_table(criteria: tuple[Criterion, ...] = CRITERIA) -> str:
    """Return the criteria as a Markdown table, for the docs."""
    rows = ["| criterion | what must hold | question it answers |", "| --- | --- | --- |"]
    rows += [f"| `{c.name}` | {c.sentence} | {c.question} |" for c in criteria]
    return "\n".join(rows)
