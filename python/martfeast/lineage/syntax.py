"""The parts of a SELECT that tracing asks for, as sqlglot parses it."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from martfeast.lineage.traced import FILTER, GROUP, JOIN


def write_windows_out(tree: exp.Expr) -> None:
    """Put what a WINDOW clause names in place of the name."""
    for select in list(tree.find_all(exp.Select)):
        named = {one.name.lower(): one for one in select.args.get("windows") or ()}
        for window in list(select.find_all(exp.Window)) if named else ():
            found = named.get(window.alias.lower())
            if found is not None and window.parent is not select:
                window.set("alias", None)
                for argument in ("partition_by", "order", "spec"):
                    part = window.args.get(argument) or found.args.get(argument)
                    window.set(argument, copy.deepcopy(part))


def row_clauses(expression: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    """Yield what decides on the rows of a SELECT, and how."""
    if not isinstance(expression, exp.Select):
        return
    for name in ("where", "having", "qualify"):
        if clause := expression.args.get(name):
            yield FILTER, clause
    for join in joins_of(expression):
        yield from ((JOIN, clause) for clause in join_clauses(join))
    if (distinct := expression.args.get("distinct")) and distinct.args.get("on"):
        yield GROUP, distinct.args["on"]
    if group := expression.args.get("group"):
        if not group.args.get("all"):
            yield GROUP, group
        else:
            for projection in expression.selects:
                if next(parts_of(projection, exp.AggFunc), None) is None:
                    yield GROUP, projection.unalias()


def column_names(query: exp.Expr) -> list[str]:
    """Return the names of a query's columns; of what is no query, none."""
    return list(query.named_selects) if isinstance(query, exp.Query) else []


def parts_of(expression: exp.Expr, *types: type[Any]) -> Iterator[Any]:
    """Yield the parts of an expression of some types; of a query inside, nothing but itself."""
    for node in expression.walk(prune=lambda one: isinstance(one, exp.Query | exp.Column)):
        if isinstance(node, types):
            yield node


def joins_of(expression: exp.Expr) -> list[exp.Join]:
    """Return the joins of a SELECT."""
    return list(expression.args.get("joins") or ())


def join_clauses(join: exp.Join) -> Iterator[exp.Expr]:
    """Yield the conditions of a join."""
    for name in ("on", "match_condition"):
        if clause := join.args.get(name):
            yield clause


def join_kind(join: exp.Join) -> str:
    """Return what kind of join one is, in words of SQL."""
    return f"{join.method} {join.side} {join.kind}"


def depends_on_other_rows(scope: Scope, expression: exp.Expr) -> bool:
    """Tell whether a value is computed of several rows, or of one that was picked of several."""
    distinct = scope.expression.args.get("distinct")
    is_picked = distinct is not None and bool(distinct.args.get("on"))
    return is_picked or next(parts_of(expression, exp.AggFunc, exp.Window), None) is not None


def counts_rows(count: exp.Expr) -> bool:
    """Tell whether a count is one of rows, and not of values."""
    return isinstance(count.this, exp.Star | exp.Literal) or count.this is None


def orders_window(node: exp.Expr, within: exp.Expr) -> bool:
    """Tell whether a column stands in the partition or the order of a window."""
    while node is not within and node.parent is not None:
        if isinstance(node.parent, exp.Window) and node.arg_key != "this":
            return True
        node = node.parent
    return False


def text_with(expression: exp.Expr, names: Mapping[int, str], dialect: str) -> str:
    """Return an expression's SQL in which parts stand by other names."""
    copies = dict(
        zip((id(one) for one in expression.walk()), expression.copy().walk(), strict=True)
    )
    whole = copies[id(expression)]
    for original, name in names.items():
        place, named = copies[original], exp.to_identifier(f"_{name}")
        if place is whole:
            return name
        place.replace(named)
    return whole.sql(dialect, comments=False)
