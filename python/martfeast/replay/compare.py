"""Compares a mart, as built again, with what is published of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.engines.duckdb import parquet_rows, quoted, timestamp, type_of
from martfeast.feature_types import FLOAT32, FLOAT64, feature_type
from martfeast.replay.scratch import Cut, Scratch

EXAMPLES = 3
# By type, how far apart two values may be that are the same but for the last digits: relative to
# the value, four units in the last place. Up to a limit whole numbers are exact.
_LAST_PLACES = {"double": (2.0**-50, 2**53), "float": (2.0**-21, 2**24)}
# What is summed or averaged differs by the order of addition too: relative to the value, and to
# what is usual in the column, beside which a difference of sums may be small.
_SUMMED, _SUMMED_USUAL = 1e-12, 2.0**-46


@dataclass(frozen=True)
class Difference:
    """How a mart's rows up to a cut differ from what is published.

    compared: rows on both sides. missing: published rows that the replay lacks; extra: the reverse.
    changed: by column, rows with another value. examples: of them, as words.
    late: the relations whose later facts make the difference, each with its file.
    """

    mart: str
    cut: Cut
    compared: int
    missing: int
    extra: int
    changed: dict[str, int]
    examples: list[str]
    late: list[str] = field(default_factory=list)

    @property
    def is_none(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.extra or self.changed)


def typed_columns(mart: Mart) -> str:
    """Return SQL of a mart's own columns, cast to the types of its contract."""
    return ", ".join(
        f"cast({quoted(column.name)} as"
        f" {type_of(column.type) if column.type else column.data_type})"
        f" as {quoted(column.name)}"
        for column in mart.columns
        if column.name != mart.created
    )


def compare(scratch: Scratch, mart: Mart, cut: Cut | None) -> Difference:
    """Compare a mart, as built last, with what is published of it, up to a cut."""
    relation = scratch.lineage.relations[mart.unique_id]
    time = quoted(mart.timestamp)
    up_to = f"{time} <= {timestamp(cut.at)}" if cut else "true"
    columns = [column.name for column in mart.columns if column.name != mart.created]
    names = ", ".join(map(quoted, columns))
    then = f"select {typed_columns(mart)} from {scratch.table(relation)} where {up_to}"
    today = f"select {names} from {parquet_rows(mart.path)} where {up_to}"
    if isinstance(mart, LabelMart) and cut is not None:
        today = _labels_known_by(mart, columns, cut, today)
        is_withheld = cut.perturbation == "withheld"
        then = _labels_known_by(mart, columns, cut, then, shows_undated=is_withheld)
    run = scratch.connection.execute
    digest = f"count(*), sum(hash({names})::hugeint)"
    (then_rows, then_hash), (today_rows, today_hash) = (
        run(f"select {digest} from ({rows})").fetchall()[0] for rows in (then, today)
    )
    cut = cut or Cut(datetime.max, "everything")
    if (then_rows, then_hash) == (today_rows, today_hash):
        return Difference(mart.name, cut, today_rows, 0, 0, {}, [])
    pairs = _pairs_sql(mart, columns, then, today, _is_summed(scratch, mart))
    return _differences(run, mart, cut, columns, pairs)


def _is_summed(scratch: Scratch, mart: Mart) -> bool:
    """Tell whether anything under a mart adds up doubles, whose order is not fixed."""
    names = scratch.connection.execute(
        "select distinct function_name from duckdb_functions() where function_type = 'aggregate'"
        " and return_type in ('DOUBLE', 'FLOAT')"
    ).fetchall()
    called = "|".join(re.escape(name) for (name,) in names)
    pattern = re.compile(rf"\b(?:list_)?(?:{called}|aggregate|aggr|reduce)\"?\s*\(", re.IGNORECASE)
    above = [scratch.lineage.relations[name] for name in scratch.lineage.above(mart.unique_id)]
    return any(pattern.search(relation.made_by or "") for relation in above)


def _labels_known_by(
    mart: LabelMart, columns: list[str], cut: Cut, rows: str, shows_undated: bool = False
) -> str:
    """Return SQL of label rows with what was known of the labels by a cut.

    shows_undated: leave a label that says no moment, so that one that is there too early shows. One
    that says a later moment is not in use before that, whatever it is made of.
    """
    is_known = f"{quoted(mart.label.known_at)} <= {timestamp(cut.at)}"
    is_shown = f"coalesce({is_known}, true)" if shows_undated else is_known
    shown_if = {mart.label.column: is_shown, mart.label.known_at: is_shown}
    if mart.label.missing_reason:  # before a label is known there is another reason, or none
        shown_if[mart.label.missing_reason] = is_known
    selected = ", ".join(
        f"case when {shown_if[name]} then {quoted(name)} end as {quoted(name)}"
        if name in shown_if
        else quoted(name)
        for name in columns
    )
    return f"select {selected} from ({rows})"


def _differences(
    run: Callable[[str], Any], mart: Mart, cut: Cut, columns: list[str], pairs: str
) -> Difference:
    keys = [*mart.keys, mart.timestamp]
    others = [name for name in columns if name not in keys]
    run(pairs)
    counts = ", ".join(f"count(*) filter (differs_{n})" for n in range(len(others)))
    both, missing, extra, *changed = run(
        "select count(*) filter (is_in_both), count(*) filter (is_replayed is null),"
        f" count(*) filter (is_today is null){', ' * bool(others)}{counts} from pairs"
    ).fetchall()[0]
    by_column = {name: n for name, n in zip(others, changed, strict=True) if n}
    examples = _examples(run, keys, others, by_column)
    return Difference(mart.name, cut, both, missing, extra, by_column, examples)


def _pairs_sql(mart: Mart, columns: list[str], then: str, today: str, is_summed: bool) -> str:
    """Return SQL that makes the table pairs: rows of today beside those of the replay, by key.

    Keys are called key_0, key_1 ...; other columns today_0 and replay_0, and whether they differ in
    a row that is on both sides differs_0.
    """
    keys = [*mart.keys, mart.timestamp]
    others = [name for name in columns if name not in keys]
    types = {column.name: feature_type(column.data_type) for column in mart.columns}
    selected = [
        f"coalesce(today.{quoted(k)}, replay.{quoted(k)}) as key_{n}" for n, k in enumerate(keys)
    ]
    for n, name in enumerate(others):
        a, b = f"today.{quoted(name)}", f"replay.{quoted(name)}"
        differs = f"{a} is distinct from {b}"
        if types[name] in (FLOAT64, FLOAT32):
            kind = "double" if types[name] == FLOAT64 else "float"
            differs = f"{differs} and not coalesce({_near(a, b, kind, is_summed)}, false)"
        selected += [
            f"{a} as today_{n}",
            f"{b} as replay_{n}",
            f"is_in_both and {differs} as differs_{n}",
        ]
    on = " and ".join(f"today.{quoted(k)} is not distinct from replay.{quoted(k)}" for k in keys)
    return (
        "create or replace temp table pairs as select today.is_row and replay.is_row as is_in_both,"
        f" today.is_row as is_today, replay.is_row as is_replayed, {', '.join(selected)}"
        f" from (select *, true as is_row from ({today})) as today"
        f" full join (select *, true as is_row from ({then})) as replay on {on}"
    )


def _near(a: str, b: str, kind: str, is_summed: bool) -> str:
    """Return SQL of whether two numbers are the same but for how they were rounded."""
    relative, whole = _LAST_PLACES[kind]
    larger = f"greatest(abs({a}), abs({b}))"
    allowed = f"{max(relative, _SUMMED) if is_summed else relative} * {larger}"
    if is_summed:
        usual = f"median(abs({a})) filter (isfinite({a}) and {a} <> 0) over ()"
        allowed = f"greatest({allowed}, coalesce({_SUMMED_USUAL} * {usual}, 0))"
    are_whole = f"{a} = trunc({a}) and {b} = trunc({b}) and {larger} <= {whole}"
    return (
        f"isfinite({a}) and isfinite({b}) and not ({are_whole})"
        f" and abs({a}::double - {b}::double) <= {allowed}"
    )


def _examples(
    run: Callable[[str], Any], keys: list[str], others: list[str], changed: dict[str, int]
) -> list[str]:
    """Return a few of the rows in the table pairs that differ, as words."""
    examples = []
    key_names = ", ".join(f"key_{n}" for n in range(len(keys)))
    for condition, words in (
        ("is_replayed is null", "is published, and could not be known"),
        ("is_today is null", "was known, and is not published"),
    ):
        sql = f"select {key_names} from pairs where {condition} order by all limit {EXAMPLES}"
        examples += [f"{_row(keys, row)} {words}" for row in run(sql).fetchall()]
    for name in changed:
        n = others.index(name)
        sql = (
            f"select {key_names}, today_{n}, replay_{n} from pairs where differs_{n}"
            f" order by key_{len(keys) - 1}, {key_names} limit {EXAMPLES}"
        )
        examples += [
            f"{_row(keys, row)}: {name} is {row[-2]}, and was {row[-1]}"
            for row in run(sql).fetchall()
        ]
    return examples


def _row(keys: list[str], values: tuple[Any, ...]) -> str:
    return ", ".join(f"{key} {value}" for key, value in zip(keys, values, strict=False))


def in_words(difference: Difference) -> str:
    """Return how a mart's rows differ, in a few words."""
    parts = [f"{difference.missing} rows missing"] * bool(difference.missing)
    parts += [f"{difference.extra} rows extra"] * bool(difference.extra)
    parts += [f"{name} changed in {n} rows" for name, n in difference.changed.items()]
    return "; ".join(parts)
