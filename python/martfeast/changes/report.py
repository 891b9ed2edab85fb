"""What differs, as Markdown for one comment, as JSON and as one HTML page."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from martfeast.changes.compare import ADDED, GONE, REDEFINED, RETYPED, UNKNOWN, Changes
from martfeast.changes.rows import RowChange
from martfeast.extras import extra

# The first line of a comment, by which it is found again and written anew.
MARKER = "<!-- martfeast diff -->"
_TITLES = {
    GONE: "Gone",
    RETYPED: "Of another type",
    REDEFINED: "Computed otherwise",
    UNKNOWN: "Not known: perhaps computed otherwise",
    ADDED: "New",
}
Section = tuple[str, list[str], list[list[str]]]


def changes_json(changes: Changes, rows: Iterable[RowChange]) -> dict[str, Any]:
    """Return all that differs as JSON has it. rows: of marts that both states have built."""
    return {
        **asdict(changes),
        "breaks": changes.breaks,
        "rows": [asdict(one) for one in rows],
    }


def changes_markdown(changes: Changes, rows: Iterable[RowChange]) -> str:
    """Return what differs as Markdown, in tables; the same for the same states."""
    lines = [MARKER, "### martfeast: what this changes", "", summary(changes)]
    for title, heads, table in _sections(changes, list(rows)):
        lines += ["", f"**{title}**", ""]
        lines += [_row(heads), _row("---" for _ in heads), *map(_row, table)]
    return "\n".join(lines)


def changes_html(changes: Changes, rows: Iterable[RowChange]) -> str:
    """Return what differs as one HTML page that needs nothing else.

    Raises:
        MissingExtraError: Jinja is not installed.

    """
    with extra("datasets"):
        import jinja2
    loader = jinja2.PackageLoader("martfeast.changes", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    sections = [
        {"title": title, "heads": heads, "rows": table}
        for title, heads, table in _sections(changes, list(rows))
    ]
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    template = environment.get_template("page.html.jinja")
    return template.render(summary=summary(changes), sections=sections, css=css)


def summary(changes: Changes) -> str:
    """Return in a sentence or two what differs from the base."""
    if not changes:
        return f"Nothing that is a feature, a label or a model's input differs from {changes.base}."
    counts = {kind: sum(one.kind == kind for one in changes.columns) for kind in _TITLES}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    breaks = "**It breaks what others read.** " if changes.breaks else ""
    exposures = len(changes.exposures)
    models = f" {exposures} model{'s' if exposures > 1 else ''} to look at." if exposures else ""
    columns = f"Features and labels: {said}." if said else "No feature or label differs by itself."
    return f"{breaks}Against {changes.base}. {columns}{models}"


def _sections(changes: Changes, rows: list[RowChange]) -> Iterator[Section]:
    if changes.exposures:
        table = [
            [one.exposure, one.kind, "; ".join(one.why), _dataset(one.dataset), one.owner]
            for one in changes.exposures
        ]
        yield "Models", ["model", "", "why", "trained before on", "owner"], table
    for kind, title in _TITLES.items():
        found = [one for one in changes.columns if one.kind == kind]
        if found:
            why = dict.fromkeys(one.why for one in found)
            names = {one: [f"{of.mart}:{of.name}" for of in found if of.why == one] for one in why}
            table = [[", ".join(names[one]), one] for one in why]
            yield title, ["feature or label", ""], table
    if changes.marts:
        table = [[one.mart, " ".join(one.said)] for one in changes.marts]
        yield "Marts", ["mart", ""], table
    if changes.stale_replays:
        table = [[f"`martfeast replay --select {name}`"] for name in changes.stale_replays]
        yield "Replays to run again, which were of other code", ["after a build"], table
    if rows:
        yield (
            "Rows",
            ["mart", "new", "gone", "both have", "other values in", "drift"],
            [
                [
                    one.mart,
                    f"{one.new:,}",
                    f"{one.gone:,}",
                    f"{one.kept:,}",
                    ", ".join(f"{name} ({count:,})" for name, count in one.changed.items())
                    or "none",
                    ", ".join(f"{drift.column} {drift.psi:.2f}" for drift in one.drift) or "none",
                ]
                for one in rows
            ],
        )


def _dataset(number: int) -> str:
    return f"dataset {number}" if number else "no dataset here"


def _row(cells: Iterable[str]) -> str:
    escaped = (" ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(_escape(cell) for cell in escaped)} |"


def _escape(cell: str) -> str:
    """Let no HTML of a description be HTML in a comment."""
    return cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
