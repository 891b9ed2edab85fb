"""What replays, the gate and datasets say, as Markdown for artifacts."""

from collections.abc import Sequence
from typing import Any


def gate_markdown(status: dict[str, Any]) -> str:
    """Return how marts stand, as `martfeast status --json` says it: what is wrong comes first."""
    verdict = "may be applied" if status["is_ready"] else "may not be applied"
    rows = [
        (mart["mart"], "ready" if mart["is_ready"] else "**held**", _count(mart), _findings(mart))
        for mart in sorted(status["marts"], key=lambda mart: (mart["is_ready"], mart["mart"]))
    ]
    problems = [
        f"- {one['subject']} `[{one['rule']}]` {one['message']} {one['fix']}"
        for one in status["problems"]
    ]
    table = _table(("mart", "state", "criteria met", "findings"), rows)
    return "\n\n".join(
        [
            f"# Gate: release {status['release']} {verdict}",
            *filter(None, ["\n".join(problems)]),
            table,
        ]
    )


def replay_markdown(shown: dict[str, Any]) -> str:
    """Return what replays showed, as `martfeast replay --json` says it."""
    rows = [
        (
            mart["mart"],
            "never knew the future"
            if mart["has_passed"]
            else f"**failed** {mart['problem'] or ''}",
            f"{mart['cuts']:,}",
            f"{mart['compared']:,}",
            f"{len(mart['differences']):,}",
        )
        for mart in shown["marts"]
    ]
    columns = ("mart", "result", "moments", "rows compared", "moments that differ")
    return f"# Replay of release {shown['release']}\n\n{_table(columns, rows)}"


def card_markdown(record: dict[str, Any], folder: str) -> str:
    """Return the main figures of a dataset. folder: of the datasets of its exposure."""
    file = record["file"]
    limits = "\n".join(f"- {limit}" for limit in record["limits"])
    rows = [
        ("rows", f"{file['rows']:,}"),
        ("bytes", f"{file['bytes']:,}"),
        ("sha256", f"`{file['sha256']}`"),
        ("folder", f"`{folder}/{record['number']:04}`"),
    ]
    return (
        f"# Dataset {record['saved_dataset']}\n\n"
        f"{_table(('', ''), rows)}\n\n## Limits\n\n{limits or 'None are known.'}"
    )


def _count(mart: dict[str, Any]) -> str:
    states = [criterion["state"] for criterion in mart["criteria"].values()]
    return f"{sum(state != 'fail' for state in states)} of {len(states)}"


def _findings(mart: dict[str, Any]) -> str:
    return " ".join(
        f"`{name}` {finding}"
        for name, criterion in mart["criteria"].items()
        if criterion["state"] == "fail"
        for finding in criterion["findings"]
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
