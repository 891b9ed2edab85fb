"""Reads the plan that DuckDB makes of SQL: what it calls, what it reads, how it makes rows.

A plan is bound: functions and tables are DuckDB's own, however the SQL calls or quotes them, with
macros and views opened, and a column that is named like a clock is a column.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

Json = dict[str, Any]

# Table functions whose rows follow from their arguments.
GENERATORS = frozenset(
    ["range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"]
)
# Operators that make each row of one row, or put rows one after another.
WITHIN_ROWS = frozenset(
    [
        "LOGICAL_GET",
        "LOGICAL_CTE_REF",
        "LOGICAL_MATERIALIZED_CTE",
        "LOGICAL_PROJECTION",
        "LOGICAL_FILTER",
        "LOGICAL_UNNEST",
        "LOGICAL_UNION",
        "LOGICAL_ORDER_BY",
    ]
)
OPERATIONS = {
    "LOGICAL_AGGREGATE_AND_GROUP_BY": "aggregates rows",
    "LOGICAL_WINDOW": "ranks rows or looks at others by a window",
    "LOGICAL_DISTINCT": "keeps one row of several",
    "LOGICAL_LIMIT": "keeps the first rows",
    "LOGICAL_SAMPLE": "takes a sample of rows",
    "LOGICAL_RECURSIVE_CTE": "joins rows",
}
# The table function that runs a text as SQL.
BY_TEXT = "query"
# Words that read the clock unless they are columns, and the function that they stand for.
CLOCKS = {
    "current_timestamp": "get_current_timestamp",
    "current_date": "current_date",
    "current_time": "get_current_time",
    "localtimestamp": "current_localtimestamp",
    "localtime": "current_localtime",
}
# Schemas in which DuckDB's functions are.
SCHEMAS = ("main", "pg_catalog", "system")
DEEPEST = 20_000
# What DuckDB tells of SQL, as JSON.
PLAN = "json_serialize_plan($sql, optimize := false, skip_null := true)"
SYNTAX = "json_serialize_sql($sql, skip_null := true)"
JOINS = ("LOGICAL_EXCEPT", "LOGICAL_INTERSECT", "LOGICAL_CROSS_PRODUCT")
# On which sides of a join it counts whether there is a row, and not only what is in it.
LOOKED_UP = {
    **dict.fromkeys(["LEFT", "SINGLE", "MARK", "SEMI", "ANTI"], (1,)),
    **dict.fromkeys(["RIGHT", "RIGHT_SEMI", "RIGHT_ANTI"], (0,)),
    **dict.fromkeys(["OUTER", "FULL"], (0, 1)),
    **dict.fromkeys(["LOGICAL_EXCEPT", "LOGICAL_INTERSECT"], (1,)),
}


@dataclass(frozen=True)
class Plan:
    """How DuckDB answers a SELECT, before it makes the plan faster.

    sql: the SELECT. tables: what the tables are that it may read, by the last part of their name.
    roots: the plan's operators, as DuckDB writes them in JSON; none where a file is read, for then
    DuckDB writes no plan. syntax: of the SELECT, and of what it runs as a text.
    clocks: words in it that read the clock without being called. error: why there is no plan.
    """

    sql: str
    tables: dict[str, str]
    roots: tuple[Json, ...]
    syntax: tuple[Json, ...]
    clocks: tuple[str, ...]
    error: str

    def unstable(self) -> list[str]:
        """Return what it calls that does not always answer the same, as words of the SQL."""
        found = dict.fromkeys(self.clocks)
        for part in _parts(self.syntax):
            if _is_unstable(part, _unstable()):
                found[part["function_name"]] = None
            elif part.get("sample"):
                found["sample"] = None
        if not found:  # in a text that is put together, or a function of a column as its method
            for part in _parts(self.roots):
                is_call = part.get("expression_class") == "BOUND_FUNCTION"
                if is_call and len(part.get("children", ())) in _unstable().get(_last(part), ()):
                    found[_last(part)] = None
        return list(found)

    def reads(self, known: Iterable[str]) -> list[str]:
        """Return what it reads besides some tables and what is made of arguments, by name.

        That is DuckDB's catalog, a file or the machine.

        Args:
            known: the tables, as ``tables`` calls them.

        """
        found: dict[str, None] = {}
        for part in _parts(self.roots):
            if part.get("type") == "LOGICAL_GET":
                table, name = self._table(part), _last(part)
                if table is None and name not in GENERATORS:
                    found[name] = None
                elif table is not None and table not in known:
                    found[table] = None
        for part in _parts(() if self.roots else self.syntax):
            if name := _function_read(part):
                if name not in GENERATORS | {BY_TEXT}:
                    found[name] = None
            elif part.get("type") == "BASE_TABLE" and re.search(r"[./:]", part["table_name"]):
                found[part["table_name"]] = None
        return list(found)

    def operations(self, facts: set[str]) -> list[str]:
        """Return what it does to make a row of more than one row of some tables, as words.

        Args:
            facts: the tables, as ``tables`` calls them. To rows of others any row may be joined.

        """
        if not self.roots or "__duckdb_delim" in self.sql:
            return ["has SQL whose plan cannot be read"]
        walk = _Walk(self, facts, {}, {})
        for root in self.roots:
            walk.has_facts(root)
        return list(walk.found)

    def _table(self, scan: Json) -> str | None:
        """Return what table is scanned; None if it is a function."""
        path = scan.get("function_data", {}).get("qualified_name", {}).get("path")
        return self.tables.get(path[-1], str(path[-1])) if path else None


def read_plan(connection: duckdb.DuckDBPyConnection, sql: str, tables: dict[str, str]) -> Plan:
    """Let DuckDB plan a SELECT.

    Args:
        connection: to a database that has what it reads.
        sql: the SELECT.
        tables: what tables are, by the last part of their name.

    """
    try:
        with _deep():
            return _read_plan(connection, sql, tables)
    except RecursionError:
        return Plan(sql, tables, (), (), (), "it is nested too deeply to be read")


@contextmanager
def _deep() -> Iterator[None]:
    """Let JSON be read that is nested as deeply as DuckDB lets SQL be."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _read_plan(connection: duckdb.DuckDBPyConnection, sql: str, tables: dict[str, str]) -> Plan:
    planned = _ask(connection, PLAN, sql)
    syntax = _syntax(connection, sql)
    clocks = list(_clocks(connection, sql, syntax))
    read: set[str] = set()
    waiting = list(_texts(syntax))
    while waiting:
        text = waiting.pop()
        if text not in read:
            read.add(text)
            inner = _syntax(connection, text)
            clocks += [part["column_names"][0] for part in _parts(inner) if _is_clock(part)]
            waiting += _texts(inner)
            syntax += inner
    error = str(planned.get("error_message", "")).partition("\n")[0].rstrip(".!")
    return Plan(sql, tables, tuple(planned.get("plans", ())), syntax, tuple(clocks), error)


def _syntax(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Json, ...]:
    return tuple(_ask(connection, SYNTAX, sql).get("statements", ()))


def _clocks(
    connection: duckdb.DuckDBPyConnection, sql: str, syntax: tuple[Json, ...]
) -> Iterator[str]:
    """Yield the words of a SELECT that read a clock and are no columns.

    The plan calls the clock, or it has the answer already, and is the same if the SQL calls it.
    """
    words = [part for part in _parts(syntax) if _is_clock(part)]
    if not words:
        return
    connection.begin()  # in which the clock stands still
    try:
        planned, text = _bare(_ask(connection, PLAN, sql)), sql.encode()
        called = {_last(part) for part in _parts(planned) if "qname" in part}
        for part in words:
            word, start = part["column_names"][0], part["query_location"]
            clock, end = CLOCKS[word.lower()], start + part["query_location_length"]
            other = (text[:start] + f'"{clock}"()'.encode() + text[end:]).decode()
            if (
                planned["error"]
                or clock in called
                or planned == _bare(_ask(connection, PLAN, other))
            ):
                yield word
    finally:
        connection.rollback()


def _bare(value: Any) -> Any:
    """Return a plan without where its parts stand in the SQL, and what they are called."""
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if isinstance(value, dict):
        left_out = ("query_location", "query_location_length", "alias")
        return {key: _bare(one) for key, one in value.items() if key not in left_out}
    return value


def _texts(syntax: tuple[Json, ...]) -> Iterator[str]:
    """Yield the SQL that is run as a text."""
    for part in _parts(syntax):
        if _function_read(part) == BY_TEXT:
            for one in _parts(part["function"]["arguments"]):
                if one.get("class") == "CONSTANT":
                    yield str(one["literal"].get("text", ""))


def _ask(connection: duckdb.DuckDBPyConnection, function: str, sql: str) -> Json:
    try:
        rows = connection.execute(f"select {function}", {"sql": sql}).fetchall()
    except duckdb.Error as error:
        return {"error": True, "error_message": str(error)}
    answer: Json = json.loads(rows[0][0])
    return answer


@dataclass
class _Walk:
    """Goes down a plan. ctes: whether each that was met has facts. found: what makes rows."""

    plan: Plan
    facts: set[str]
    ctes: dict[int, bool]
    found: dict[str, None]

    def has_facts(self, node: Json) -> bool:
        """Return whether an operator's rows are made of facts; note how, if of several rows."""
        kind, children = node["type"], node.get("children", [])
        if kind == "LOGICAL_CTE_REF":
            return self.ctes.get(node.get("cte_index", 0), True)
        if kind == "LOGICAL_MATERIALIZED_CTE":
            return self._with(node, *children)
        if kind == "LOGICAL_RECURSIVE_CTE":
            self.ctes[node.get("table_index", 0)] = self.has_facts(children[0])
            below = [self.ctes[node.get("table_index", 0)], self.has_facts(children[1])]
        else:
            below = [self.has_facts(child) for child in children]
        if kind == "LOGICAL_GET" and not children:
            table = self.plan._table(node)
            return _last(node) not in GENERATORS if table is None else table in self.facts
        if "JOIN" in kind or kind in JOINS:
            looks_up = LOOKED_UP.get(str(node.get("join_type", kind)), ())
            if sum(below) > 1 or any(below[side] for side in looks_up):
                self.found["joins rows"] = None
        elif any(below) and kind not in WITHIN_ROWS and not _is_distinct(node):
            self.found[OPERATIONS.get(kind, f"has a step {kind.lower()}")] = None
        return any(below)

    def _with(self, node: Json, made: Json, rest: Json) -> bool:
        number, name = node.get("table_index", 0), node.get("ctename", "")
        # DuckDB numbers the rows on the left of what is asked for each of them, and asks by number.
        if name == f"__duckdb_delim_{number}":
            while made["type"] in ("LOGICAL_PROJECTION", "LOGICAL_WINDOW"):
                (made,) = made["children"]
            self.ctes[number] = self.has_facts(made)
        elif name == f"__duckdb_delim_dedup_{number}":
            self.ctes[number] = False
        else:
            self.ctes[number] = self.has_facts(made)
        return self.has_facts(rest)


def _is_distinct(node: Json) -> bool:
    """Tell whether an operator leaves out rows that are the same in all columns, and no others."""
    if node["type"] == "LOGICAL_DISTINCT":
        return node.get("distinct_type") == "DISTINCT"
    is_group = node["type"] == "LOGICAL_AGGREGATE_AND_GROUP_BY" and node.get("groups")
    return bool(is_group and not node.get("expressions")) and len(node.get("grouping_sets", [])) < 2


def _parts(value: object) -> Iterator[Json]:
    """Yield every object in JSON, outer ones first."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += reversed(part.values())
        elif isinstance(part, list | tuple):
            waiting += reversed(part)


def _last(part: Json) -> str:
    return str(part["qname"]["path"][-1])


def _function_read(part: Json) -> str:
    """Return the table function that a part of the syntax reads; '' if it does not."""
    return str(part["function"]["function_name"]) if part.get("type") == "TABLE_FUNCTION" else ""


def _is_clock(part: Json) -> bool:
    names: list[str] = part["column_names"] if part.get("class") == "COLUMN_REF" else []
    return len(names) == 1 and names[0].lower() in CLOCKS


def _is_unstable(part: Json, unstable: Mapping[str, set[int]]) -> bool:
    """Tell whether a part of the syntax is an unstable function, or a method of a clock.

    What a method is of stands where its schema would, and is an argument of it.
    """
    if part.get("class") != "FUNCTION":
        return False
    owner = str(part.get("schema", "")).lower()
    is_method = bool(owner) and owner not in SCHEMAS
    counts = unstable.get(part["function_name"].lower(), set())
    return len(part["arguments"]) + is_method in counts or owner in CLOCKS


@lru_cache(maxsize=1)
def _unstable() -> dict[str, set[int]]:
    """Return DuckDB's functions that do not always answer the same, by numbers of arguments."""
    connection = duckdb.connect()
    rows = connection.execute(
        "select function_name, len(parameters) from duckdb_functions()"
        " where stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY') and function_name != 'error'"
    ).fetchall()
    # DuckDB does not say it of these.
    rows += [("age", 1), ("current_localtimestamp", 0), ("current_localtime", 0), ("version", 0)]
    found: dict[str, set[int]] = {}
    for name, count in rows:
        found.setdefault(name.lower(), set()).add(count)
    macros = connection.execute(
        "select function_name, len(parameters), macro_definition from duckdb_functions()"
        " where function_type = 'macro' order by function_name"
    ).fetchall()
    for name, count, definition in macros:
        parts = _parts(_syntax(connection, f"select {definition}"))
        if any(_is_clock(part) or _is_unstable(part, found) for part in parts):
            found.setdefault(name.lower(), set()).add(count)
    return found
