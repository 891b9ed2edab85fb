"""Reads marts' SQL for what no replay can show: inputs without knowledge time, and clocks."""

import re
from pathlib import Path

from martfeast.lineage import Lineage, Relation
from martfeast.problems import Problem

# What the moment of the build, or chance, goes into: a replay gets another answer for that alone.
CLOCKS = re.compile(
    r"\b(?:current_timestamp|current_date|current_time|localtimestamp|run_started_at|"
    r"(?:now|today|getdate|get_current_timestamp|transaction_timestamp|random|uuid|gen_random_uuid)"
    r"\s*\(\s*\))",
    re.IGNORECASE,
)
FILES = re.compile(r"\bread_(?:parquet|csv|csv_auto|json|json_auto|text|blob)\s*\(", re.IGNORECASE)
QUERIES = re.compile(r"\b(?:run_query|statement|get_column_values)\b")
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
STRINGS = re.compile(r"'(?:[^']|'')*'")


def warnings(lineage: Lineage, mart_id: str, project_dir: Path) -> list[Problem]:
    """Return what to look at under a mart before trusting its replay.

    Args:
        lineage: of the mart.
        mart_id: its unique_id.
        project_dir: the dbt project's folder.

    Returns:
        A problem for each relation that feeds the mart and never says when its rows were known, for
        each file read past dbt, for each answer of the warehouse that was compiled in, and for each
        reading of the clock or of chance; each with the file and line.

    """
    found: list[Problem] = []
    mart = lineage.relations[mart_id]
    _follow(lineage, mart, mart, project_dir, found, set())
    for unique_id in sorted(lineage.above(mart_id)):
        relation = lineage.relations[unique_id]
        if relation.made_by is None:
            continue
        where = mart.name, relation, project_dir / relation.file
        found += _matches(
            *where,
            CLOCKS,
            "clock-read",
            "uses {}, so its rows depend on when or how often it is built.",
            "Use the knowledge time of a row instead.",
        )
        found += _matches(
            *where,
            FILES,
            "file-read",
            "reads a file by {}, which dbt knows nothing of, so nothing of it is withheld.",
            "Declare it as a source.",
        )
        if relation.is_asked_for:
            line = _line(_blank(COMMENTS, _readable(where[2])), QUERIES) or 1
            message = (
                f"{relation.name} has the answer of a query compiled in, and a replay takes it"
                " as it is today."
            )
            fix = "Write it as SQL of the model instead."
            found.append(
                Problem(mart.name, "query-when-compiled", message, fix, relation.file, line)
            )
    return found


def _follow(
    lineage: Lineage,
    relation: Relation,
    mart: Relation,
    project_dir: Path,
    found: list[Problem],
    seen: set[str],
) -> None:
    """Go up from a relation until something says when its rows were known."""
    for parent_id in relation.parents:
        parent = lineage.relations[parent_id]
        if parent_id in seen or parent.event_time or parent.timeless:
            continue
        seen.add(parent_id)
        if parent.parents:
            _follow(lineage, parent, mart, project_dir, found, seen)
            continue
        line = _line_of_reference(project_dir / relation.file, parent)
        found.append(
            Problem(
                mart.name,
                "event-time-missing",
                f"{relation.name} reads {parent.kind} {parent.name}, which does not say when its"
                " rows were known, so nothing of it is withheld.",
                "Set event_time under its config; read it through a snapshot if it is overwritten"
                " in place; or say under config why it was always known:"
                " meta: {martfeast: {timeless: <why>}}.",
                relation.file,
                line,
            )
        )


def _line_of_reference(path: Path, parent: Relation) -> int | None:
    """Return the line (from 1) of the first ref or source of a relation in a model's file."""
    name = re.escape(parent.unique_id.split(".")[-1])
    reference = re.compile(rf"\b(?:ref|source)\s*\([^)]*['\"]{name}['\"]")
    return _line(_blank(COMMENTS, _readable(path)), reference)


def _line(text: str, pattern: re.Pattern[str]) -> int | None:
    """Return the line (from 1) of the first match."""
    found = pattern.search(text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _matches(
    mart: str,
    relation: Relation,
    path: Path,
    pattern: re.Pattern[str],
    rule: str,
    message: str,
    fix: str,
) -> list[Problem]:
    """Return a problem for the first match of a pattern in a model, as written or as compiled."""
    for text in (_readable(path), relation.made_by or ""):
        code = _blank(STRINGS, _blank(COMMENTS, text))
        found = pattern.search(code)
        if found:
            # What only the compiled SQL has came from a macro that the file calls somewhere.
            line = _line(code, pattern) if text != relation.made_by else 1
            words = f"{relation.name} {message.format(found.group().rstrip('( '))}"
            return [Problem(mart, rule, words, fix, relation.file, line)]
    return []


def _readable(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace what matches by spaces, so that lines stay where they are."""
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
