"""Reads marts' SQL for what no replay can show: inputs without knowledge time, and clocks."""

import json
import re
from functools import lru_cache
from pathlib import Path

import duckdb

from martfeast.problems import Problem
from martfeast.replay.lineage import Lineage, Relation

# Words that read the clock without being called.
WORDS = re.compile(
    r"\b(?:current_timestamp|current_date|current_time|localtimestamp|localtime)\b", re.IGNORECASE
)
CALLS = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)
JINJA_CLOCKS = re.compile(r"\b(?:run_started_at|modules\.datetime|modules\.pytz|invocation_id)\b")
QUERIES = re.compile(r"\b(?:run_query|statement|get_column_values|load_result|adapter\.execute)\b")
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}|'(?:[^']|'')*'", re.DOTALL)

MESSAGES = {
    "clock-read": (
        "uses {}, so its rows depend on when or how often it is built.",
        "Use the knowledge time of a row instead.",
    ),
    "file-read": (
        "reads {}, which dbt knows nothing of, so nothing of it is withheld.",
        "Declare it as a source.",
    ),
    "query-when-compiled": (
        "has the answer of a query compiled in, and a replay takes it as it is today.",
        "Write it as SQL of the model instead.",
    ),
}


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
        text = _readable(project_dir / relation.file)
        for rule, (words, line) in _blind_spots(relation, text).items():
            message, fix = MESSAGES[rule]
            said = f"{relation.name} {message.format(words)}"
            found.append(Problem(mart.name, rule, said, fix, relation.file, line))
    return found


def _follow(
    lineage: Lineage,
    relation: Relation,
    mart: Relation,
    project_dir: Path,
    found: list[Problem],
    seen: set[str],
) -> None:
    """Go up from a relation until something vouches for when its rows were known.

    That is a relation with event_time under which there is none: what it says is taken as true. One
    that is built on such relations vouches for nothing else that it reads.
    """
    for parent_id in relation.parents:
        parent = lineage.relations[parent_id]
        above = [lineage.relations[name] for name in lineage.above(parent_id) - {parent_id}]
        vouches = parent.event_time and not any(one.event_time for one in above)
        if parent_id in seen or vouches or parent.timeless:
            continue
        seen.add(parent_id)
        if parent.kind == "snapshot":
            found.append(
                Problem(
                    mart.name,
                    "snapshot-of-facts",
                    f"{relation.name} reads snapshot {parent.name}, which is of a model built on"
                    " facts with a knowledge time; a replay takes it as it is.",
                    "Take the snapshot of the source instead, and build on that.",
                    relation.file,
                    _line_of_reference(project_dir / relation.file, parent),
                )
            )
            continue
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


def _blind_spots(relation: Relation, text: str) -> dict[str, tuple[str, int]]:
    """Return what a model's file or its compiled SQL has, by rule: the words and the line."""
    found: dict[str, tuple[str, int]] = {}
    # What only the compiled SQL has came from a macro or an ephemeral model that the file calls.
    for sql, is_compiled in ((text, False), (relation.made_by or "", True)):
        code, with_strings = _code(sql), _code(sql, keep_strings=True)
        for rule, matches in (
            ("clock-read", _clocks(code)),
            ("clock-read", [] if is_compiled else _in_jinja(with_strings)),
        ):
            for match in matches[:1]:
                line = 1 if is_compiled else sql.count("\n", 0, match.start()) + 1
                found.setdefault(rule, (match.group().rstrip("( '"), line))
    if "clock-read" not in found and (called := JINJA_CLOCKS.search(relation.called)):
        found["clock-read"] = (called.group(), 1)
    for name in _files(relation.made_by or ""):
        line = _line(text, re.compile(re.escape(name))) or 1
        found["file-read"] = (name, line)
    if relation.is_asked_for:
        found["query-when-compiled"] = ("", _line(_code(text, keep_strings=True), QUERIES) or 1)
    return found


def _files(sql: str) -> list[str]:
    """Return what a SELECT reads from files: names of files, or functions that read some."""
    parsed = json.loads(
        duckdb.execute("select json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    )
    found = []
    waiting: list[object] = [parsed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        if not isinstance(part, dict):
            continue
        waiting += part.values()
        if part.get("type") == "BASE_TABLE" and re.search(r"[./:]", str(part.get("table_name"))):
            found.append(str(part["table_name"]))
        if part.get("type") == "TABLE_FUNCTION":
            name = str(part.get("function", {}).get("function_name"))
            if name.startswith("read_") or name.endswith("_scan") or name in ("glob", "sniff_csv"):
                found.append(name)
    return found


def _clocks(code: str) -> list[re.Match[str]]:
    """Return where SQL reads the clock or chance."""
    unstable = _unstable_functions()
    return [
        *WORDS.finditer(code),
        *(
            match
            for match in CALLS.finditer(code)
            if _argument_count(code, match.end()) in unstable.get(match.group(1).lower(), ())
        ),
    ]


def _in_jinja(text: str) -> list[re.Match[str]]:
    """Return where Jinja reads the clock; it may stand within a string of the SQL."""
    blocks = list(JINJA.finditer(text))
    return [
        match
        for match in JINJA_CLOCKS.finditer(text)
        if any(block.start() < match.start() < block.end() for block in blocks)
    ]


@lru_cache(maxsize=1)
def _unstable_functions() -> dict[str, set[int]]:
    """Return DuckDB's functions that do not always answer the same, by numbers of arguments."""
    rows = duckdb.execute(
        "select function_name, len(parameters) from duckdb_functions()"
        " where stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
    ).fetchall()
    # DuckDB does not say it of these.
    rows += [("age", 1), ("current_localtimestamp", 0), ("current_localtime", 0)]
    found: dict[str, set[int]] = {}
    for name, count in rows:
        found.setdefault(name.lower(), set()).add(count)
    return found


def _argument_count(code: str, start: int) -> int:
    """Return the number of arguments of a call whose parenthesis opens before a position."""
    depth, commas, is_empty = 1, 0, True
    for character in code[start:]:
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            break
        commas += depth == 1 and character == ","
        is_empty = is_empty and character.isspace()
    return 0 if is_empty else commas + 1


def _line_of_reference(path: Path, parent: Relation) -> int | None:
    """Return the line (from 1) of the first ref or source of a relation in a model's file."""
    name = re.escape(parent.unique_id.split(".")[-1])
    reference = re.compile(rf"\b(?:ref|source)\s*\([^)]*['\"]{name}['\"]")
    return _line(_code(_readable(path), keep_strings=True), reference)


def _line(text: str, pattern: re.Pattern[str]) -> int | None:
    """Return the line (from 1) of the first match."""
    found = pattern.search(text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _readable(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _code(text: str, keep_strings: bool = False) -> str:
    """Return SQL without its comments, and unless asked without its strings; lines stay."""

    def blank(match: re.Match[str]) -> str:
        if match.group().startswith("'"):
            return match.group() if keep_strings else re.sub(r"[^\n]", "_", match.group())
        return re.sub(r"[^\n]", " ", match.group())

    return COMMENT_OR_STRING.sub(blank, text)
