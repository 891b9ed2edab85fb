"""Finds windows that an incremental model cuts off: rows before the range that a run reads."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import jinja2
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from martfeast.declaration.declared import Mart
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model
from martfeast.problems import ProblemLog

# What stands in SQL for Jinja that is printed: the table itself, a ref, and any other value.
_THIS, _READ, _VALUE = "martfeast_this", "martfeast_read_", "martfeast_value_"
_NAMES = re.compile(r"\b(?:ref|source)\s*\(([^)]*)\)")
_IN_INCREMENT = re.compile(r"\bin_increment\s*\(")
_LOOK_BACK = re.compile(r"""(?:look_back\s*=|,)\s*['"]([^'"]+)['"]\s*,?\s*\)$""")
_INCREMENT = re.compile(r"\b(?:is_incremental|increment|batch)\b")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_LONGER_UNITS = {"month": 31 * 86400, "quarter": 92 * 86400, "year": 366 * 86400}
_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)


@dataclass(frozen=True)
class ShortWindow:
    """A window of a model that sees less than it should.

    parent: what it reads, as the model calls it. length: of the window, in words. is_batch: whether
    dbt cuts the parent off at the batch, and not the model itself.
    """

    parent: str
    length: str
    is_batch: bool


def check_look_back(artifacts: Artifacts, marts: list[Mart], log: ProblemLog) -> None:
    """Log the windows of marts and of what they are made of that an increment would cut off.

    Only SQL is read. What a macro of the project makes of a window is not known; what the SQL
    parser does not take is passed over, and a replay or a full build shows it.
    """
    graph = artifacts.graph
    lineage = {name: None for mart in marts for name in graph.upstream(mart.unique_id)}
    for name in lineage:
        model = graph.models.get(name)
        if model is None:
            continue
        for found in dict.fromkeys(short_windows(model, graph)):
            cut = "the batch" if found.is_batch else "the rows after its newest one"
            log.add(
                artifacts.place(model),
                model.alias,
                "window-cut-off",
                f"A window of {found.length} reads {found.parent}, of which a run sees {cut} only:"
                " the first rows of each come out too small, and the build is green.",
                "Use martfeast.windowed_features, which looks back far enough; or read"
                f" {found.parent}.render(), filter it to the range's start less the window, and"
                " the rows to the range in the last select.",
            )


def short_windows(model: Model, graph: Graph) -> Iterator[ShortWindow]:
    """Yield the windows of a model that its own range cuts off; none for models made whole."""
    config = model.config
    if model.resource_type != "model" or config.materialized != "incremental":
        return
    reads = _Reads(model, graph, config.incremental_strategy == "microbatch")
    try:
        statement = sqlglot.parse_one(reads.sql(), dialect="duckdb")
    except (SqlglotError, jinja2.TemplateError, RecursionError):
        return
    # replace_range leaves out the rows before the range by itself.
    leaves_out = timedelta() if config.incremental_strategy == "replace_range" else None
    yield from _Windows(reads, statement, leaves_out).short()


class _Reads:
    """A model's SQL as an increment runs it, with names in the place of Jinja.

    filtered: what a microbatch model reads batch by batch, by its name in the SQL. named: what each
    name of a ref or a source stands for.
    """

    def __init__(self, model: Model, graph: Graph, is_microbatch: bool) -> None:
        self.raw = model.code.raw
        self.event_times = {
            name.split(".")[-1] if name in graph.sources else graph.models[name].name
            for name in model.depends_on.nodes
            if (name in graph.sources or name in graph.models)
            and graph.relation(name).config.event_time
        }
        self.is_microbatch = is_microbatch
        self.named: dict[str, str] = {}
        self.filtered: set[str] = set()

    def sql(self) -> str:
        parts: list[str] = []
        branches: list[_Branch] = []
        printed: list[str] | None = None
        block: list[str] | None = None
        for _, kind, text in jinja2.Environment().lex(self.raw):
            if kind == "variable_begin":
                printed = []
            elif kind == "variable_end" and printed is not None:
                if all(one.is_shown for one in branches):
                    parts.append(self._name("".join(printed)))
                printed = None
            elif kind == "block_begin":
                block = []
            elif kind == "block_end" and block is not None:
                _enter("".join(block).strip(), branches)
                block = None
            elif printed is not None:
                printed.append(text)
            elif block is not None:
                block.append(text)
            elif kind == "data" and all(one.is_shown for one in branches):
                parts.append(text)
        return "".join(parts).strip().rstrip(";")

    def _name(self, expression: str) -> str:
        """Return what stands for printed Jinja."""
        expression = expression.strip()
        if expression.startswith("config"):
            return ""
        if _IN_INCREMENT.search(expression):
            look_back = _LOOK_BACK.search(expression)
            return f"({_THIS} - interval '{look_back[1] if look_back else '0 days'}' is not null)"
        if expression.startswith("this") or _INCREMENT.search(expression):
            return _THIS
        match = _NAMES.match(expression)
        if match is None:
            return f"{_VALUE}{len(self.named)}"
        table = re.findall(r"""['"]([^'"]+)['"]""", match[1])[-1:]
        name = f"{_READ}{len(self.named)}"
        self.named[name] = match[0]
        is_whole = ".render" in expression[match.end() :]
        if self.is_microbatch and not is_whole and set(table) & self.event_times:
            self.filtered.add(name)
        return name


@dataclass
class _Branch:
    """A block of Jinja. is_shown: whether its text is read. is_choice: whether else turns that."""

    is_shown: bool
    is_choice: bool = False


def _enter(block: str, branches: list[_Branch]) -> None:
    """Follow a block of Jinja: what only a full build runs is not read."""
    word, _, condition = block.partition(" ")
    if word == "if":
        is_choice = bool(_INCREMENT.search(condition))
        is_negated = condition.strip().startswith("not ")
        branches.append(_Branch(not (is_choice and is_negated), is_choice))
    elif word == "else" and branches and branches[-1].is_choice:
        branches[-1].is_shown = not branches[-1].is_shown
    elif word in ("for", "filter"):
        branches.append(_Branch(True))
    elif word in ("macro", "call", "raw") or (word == "set" and "=" not in condition):
        branches.append(_Branch(False))
    elif word.startswith("end") and branches:
        branches.pop()


class _Windows:
    def __init__(self, reads: _Reads, statement: exp.Expr, kept: timedelta | None) -> None:
        self.reads = reads
        self.statement = statement
        self.kept = kept
        self.tables = {cte.alias: cte.this for cte in statement.find_all(exp.CTE)}

    def short(self) -> Iterator[ShortWindow]:
        kept = self.kept if self.kept is not None else self._look_back(self.statement)
        for select in self.statement.find_all(exp.Select):
            for parent, look_back in self._cuts(select, set()):
                for window in _windows_of(select):
                    length = _length(window)
                    if look_back and _is_of_a_macro(window):
                        continue
                    if look_back is None or length is None:
                        yield ShortWindow(parent, _words(length), look_back is None)
                    elif look_back - (look_back if kept is None else kept) < length:
                        yield ShortWindow(parent, _words(length), is_batch=False)

    def _cuts(self, select: exp.Expr, seen: set[str]) -> Iterator[tuple[str, timedelta | None]]:
        """Yield what a select reads cut off, and how far back it reaches; None for a batch."""
        look_back = self._look_back(select)
        for table in _tables_of(select):
            name = table.name
            if name in self.reads.filtered:
                yield self.reads.named[name], None
            elif look_back is not None and name in self.reads.named:
                yield self.reads.named[name], look_back
            elif name in self.tables and name not in seen:
                inner = self.tables[name]
                for one in inner.find_all(exp.Select):
                    yield from self._cuts(one, seen | {name})
                if look_back is not None:
                    yield from ((read, look_back) for read in self._reads_of(name, set()))

    def _reads_of(self, name: str, seen: set[str]) -> Iterator[str]:
        """Yield the refs under a common table expression."""
        for table in self.tables[name].find_all(exp.Table):
            if table.name in self.reads.named:
                yield self.reads.named[table.name]
            elif table.name in self.tables and table.name not in seen:
                yield from self._reads_of(table.name, seen | {name})

    def _look_back(self, select: exp.Expr) -> timedelta | None:
        """Return how far before the newest row a select's own filter reaches; None without one."""
        where = select.args.get("where")
        if where is None:
            return None
        found = [one for one in _mentions(where) if one.name == _THIS]
        # What "or" lets in besides is the model's own look back, however far that is.
        if not found or any(one.find_ancestor(exp.Or) for one in found):
            return None
        lengths = [_interval(one) or timedelta() for one in where.find_all(exp.Interval)]
        return sum(lengths, timedelta())


def _mentions(expression: exp.Expr) -> Iterator[exp.Expr]:
    yield from expression.find_all(exp.Table)
    yield from expression.find_all(exp.Column)


def _tables_of(select: exp.Expr) -> Iterator[exp.Table]:
    """Yield the tables that a select reads by itself, and in subqueries of its FROM."""
    from_ = select.args.get("from_")
    for part in [from_, *(select.args.get("joins") or [])]:
        if part is not None:
            yield from part.find_all(exp.Table)


def _windows_of(select: exp.Expr) -> Iterator[exp.Window]:
    """Yield the windows of a select that see other rows than their own, ranks left out."""
    named = {one.name: one for one in select.args.get("windows") or []}
    for part in [*select.expressions, select.args.get("qualify")]:
        for window in part.find_all(exp.Window) if part is not None else ():
            if window.find_ancestor(exp.Select) is not select or isinstance(window.this, _RANKS):
                continue
            found = named.get(window.alias, window)
            if not _is_within_a_time(found):
                yield found


def _is_within_a_time(window: exp.Window) -> bool:
    """Tell whether a window's partitions are stretches of time, such as days."""
    parts = window.args.get("partition_by") or []
    kinds = (exp.DateTrunc, exp.TimestampTrunc, exp.TsOrDsToDate, exp.Cast, exp.Date)
    return any(part.find(*kinds) is not None for part in parts)


def _is_of_a_macro(window: exp.Window) -> bool:
    """Tell whether a macro wrote the frame of a window, so that how far it looks is not known."""
    return any(one.name.startswith(_VALUE) for one in window.find_all(exp.Identifier))


def _length(window: exp.Window) -> timedelta | None:
    """Return how far back a window looks; None if that is not said in time."""
    spec = window.args.get("spec")
    start = spec.args.get("start") if spec is not None else None
    return _interval(start) if isinstance(start, exp.Interval) else None


def _interval(interval: exp.Interval) -> timedelta | None:
    """Return the length of a literal interval; None if it is none."""
    unit = (interval.args.get("unit") or exp.Var(this="")).name.lower().rstrip("s")
    seconds = {**_UNITS, **_LONGER_UNITS}.get(unit)
    try:
        return timedelta(seconds=float(interval.name) * (seconds or 0)) if seconds else None
    except (ValueError, OverflowError):
        return None


def _words(length: timedelta | None) -> str:
    if length is None:
        return "rows before it, however far back"
    for unit, seconds in reversed(_UNITS.items()):
        count = length.total_seconds() / seconds
        if count == int(count) and count >= 1:
            return f"{int(count)} {unit}{'s' if count != 1 else ''}"
    return str(length)
