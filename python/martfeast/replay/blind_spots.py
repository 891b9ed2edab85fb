"""Reads marts' SQL for what no replay can show: inputs without knowledge time, and clocks."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from martfeast.problems import Problem
from martfeast.replay.jinja import BY_BUILD, CLOCK, QUERY, UNREAD
from martfeast.replay.lineage import Lineage, Relation
from martfeast.replay.plan import Plan
from martfeast.replay.trust import Vouching

COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}|'(?:[^']|'')*'", re.DOTALL)
FILE, SQL_UNREAD = "file-read", "sql-unread"

MESSAGES = {
    CLOCK: (
        "uses {}, so its rows depend on when or how often it is built.",
        "Use the knowledge time of a row instead.",
    ),
    FILE: (
        "reads {}, which dbt knows nothing of, so nothing of it is withheld.",
        "Declare it as a source.",
    ),
    QUERY: (
        "has the answer of {} compiled in, and a replay takes it as it is today.",
        "Write it as SQL of the model instead.",
    ),
    UNREAD: (
        "has Jinja that is not read for clocks and queries ({}).",
        "Write the name that it takes, as it is.",
    ),
    SQL_UNREAD: (
        "has SQL that is not read for clocks and files: {}.",
        "Write it as one SELECT; PIVOT takes its values with IN (...).",
    ),
}


def warnings(
    lineage: Lineage,
    plans: Mapping[str, Plan],
    vouching: Mapping[str, Vouching],
    project_dir: Path,
) -> dict[str, list[Problem]]:
    """Return what to look at under marts before trusting their replay.

    Args:
        lineage: of the marts.
        plans: of the models' SQL, by unique_id.
        vouching: who says when the rows under each mart were known, by the mart's unique_id.
        project_dir: the dbt project's folder.

    Returns:
        By the mart's unique_id, a problem for each relation that feeds the mart and never says when
        its rows were known, for each file read past dbt, for each answer of the warehouse that was
        compiled in, and for each reading of the clock or of chance; each with the file and line.

    """
    spots = {
        name: list(_blind_spots(relation, plans[name], _readable(project_dir, relation)))
        for name, relation in sorted(lineage.relations.items())
        if name in plans
    }
    found = {}
    for mart_id, vouched in vouching.items():
        mart, above = lineage.relations[mart_id], lineage.above(mart_id)
        found[mart_id] = [
            _unknown(mart, relation, parent, project_dir) for relation, parent in vouched.unknown
        ]
        found[mart_id] += [
            _problem(mart, lineage.relations[name], *spot)
            for name in spots
            if name in above
            for spot in spots[name]
        ]
    return found


def _problem(mart: Relation, relation: Relation, rule: str, words: str, line: int) -> Problem:
    message, fix = MESSAGES[rule]
    said = f"{relation.name} {message.format(words)}"
    return Problem(mart.name, rule, said, fix, relation.file, line)


def _unknown(mart: Relation, relation: Relation, parent: Relation, project_dir: Path) -> Problem:
    """Return that nobody says when the rows of something were known that a relation reads."""
    line = _line_of_reference(_readable(project_dir, relation), parent)
    if parent.kind == "snapshot":
        return Problem(
            mart.name,
            "snapshot-of-facts",
            f"{relation.name} reads snapshot {parent.name}, which is of a model built on"
            " facts with a knowledge time; a replay takes it as it is.",
            "Take the snapshot of the source instead, and build on that.",
            relation.file,
            line,
        )
    return Problem(
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


def _blind_spots(relation: Relation, plan: Plan, text: str) -> Iterator[tuple[str, str, int]]:
    """Yield what a model's SQL and Jinja have: the rule, the words and the line of its file.

    Of all rules but that of files the first alone. What is not in the file came from a macro or an
    ephemeral model that it calls: line 1.
    """
    lead = text.count("\n", 0, len(text) - len(text.lstrip()))
    clocks = [(CLOCK, one, _line(text, rf"\b{re.escape(one)}\b")) for one in plan.unstable()]
    files = [(FILE, one, _line(text, re.escape(one))) for one in plan.reads(relation.parents)]
    jinja = [(one.rule, one.words, one.line + lead) for one in relation.jinja]
    unread = [(SQL_UNREAD, plan.error, 1)] if not plan.roots and not files else []
    told = {BY_BUILD}  # which tells nothing of when
    for rule, words, line in (*clocks, *files, *jinja, *unread):
        if rule not in told:
            yield rule, words, line
        told |= {rule} - {FILE}


def _line_of_reference(text: str, parent: Relation) -> int:
    """Return the line (from 1) of the first ref or source of a relation in a model's file."""
    name = re.escape(parent.unique_id.split(".")[-1])
    return _line(text, rf"\b(?:ref|source)\s*\([^)]*['\"]{name}['\"]")


def _line(text: str, pattern: str) -> int:
    """Return the line (from 1) of the first match outside of comments; 1 if there is none."""

    def blank(match: re.Match[str]) -> str:
        is_string = match.group().startswith("'")
        return match.group() if is_string else re.sub(r"[^\n]", " ", match.group())

    code = COMMENT_OR_STRING.sub(blank, text)
    found = re.search(pattern, code, re.IGNORECASE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _readable(project_dir: Path, relation: Relation) -> str:
    try:
        return (project_dir / relation.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
