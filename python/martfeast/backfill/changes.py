"""What a backfill changed in a mart: rows by the day, and columns."""

from dataclasses import dataclass, field

import duckdb

from martfeast.declaration.declared import Mart
from martfeast.engines.duckdb import connect_in_utc, in_groups, parquet_rows, quoted
from martfeast.published.release import PUBLISHED_AT, PublishedVersion

SHOWN = 10


@dataclass(frozen=True)
class DayChanges:
    """What changed in the rows of a UTC day: how many are new, gone, and other rows now."""

    day: str
    added: int
    gone: int
    changed: int


@dataclass(frozen=True)
class MartChanges:
    """What changed between two versions of a mart.

    days: those with changes, in order. changed_columns: in how many rows that both have a column
    has another value. new_columns, gone_columns: names. is_comparable: whether there was a version
    to compare with.
    """

    mart: str
    days: list[DayChanges] = field(default_factory=list)
    changed_columns: dict[str, int] = field(default_factory=dict)
    new_columns: list[str] = field(default_factory=list)
    gone_columns: list[str] = field(default_factory=list)
    is_comparable: bool = True

    def __str__(self) -> str:
        if not self.is_comparable:
            return f"{self.mart}: published for the first time"
        lines = [f"{self.mart}: {self._total()}"]
        lines += [
            f"  {one.day}  {one.added:,} added, {one.changed:,} changed, {one.gone:,} gone"
            for one in self.days[:SHOWN]
        ]
        if len(self.days) > SHOWN:
            lines.append(f"  and {len(self.days) - SHOWN} more days")
        lines += [
            f"  {name} is another value in {count:,} rows"
            for name, count in self.changed_columns.items()
        ]
        lines += [f"  {name} is new" for name in self.new_columns]
        lines += [f"  {name} is gone" for name in self.gone_columns]
        if self.new_columns and not self.changed_columns:
            lines.append("  every other column is as it was, in every row that both have")
        return "\n".join(lines)

    def _total(self) -> str:
        sums = {
            word: sum(getattr(day, word) for day in self.days)
            for word in ("added", "changed", "gone")
        }
        if not any(sums.values()):
            return "no row is another than before"
        return ", ".join(f"{count:,} rows {word}" for word, count in sums.items())


def changes_between(
    mart: Mart, before: PublishedVersion | None, after: PublishedVersion
) -> MartChanges:
    """Compare the rows of two published versions of a mart, value by value, bits of doubles too."""
    if before is None:
        return MartChanges(mart.name, is_comparable=False)
    with connect_in_utc() as connection:
        old, new = parquet_rows(before.path), parquet_rows(after.path)
        old_columns, new_columns = _columns(connection, old), _columns(connection, new)
        keys = [*mart.keys, mart.timestamp]
        both = [one for one in new_columns if one in old_columns and one not in keys]
        connection.execute(
            f"create temp table pairs as select {_pair(keys, both, mart.timestamp)}"
            f" from {new} as n full join {old} as o"
            f" on {' and '.join(f'n.{quoted(k)} is not distinct from o.{quoted(k)}' for k in keys)}"
        )
        return MartChanges(
            mart.name,
            _days(connection, both),
            _changed_columns(connection, both),
            [one for one in new_columns if one not in old_columns],
            [one for one in old_columns if one not in new_columns],
        )


def _columns(connection: duckdb.DuckDBPyConnection, rows: str) -> list[str]:
    names = connection.sql(f"from {rows} limit 0").columns
    return [name for name in names if name != PUBLISHED_AT]


def _pair(keys: list[str], both: list[str], timestamp: str) -> str:
    time = quoted(timestamp)
    differs = [
        # A zero with another sign and a NaN are told apart by what they print as.
        f"n.{quoted(name)}::varchar is distinct from o.{quoted(name)}::varchar as d{number}"
        for number, name in enumerate(both)
    ]
    there = (
        f"n.{quoted(keys[0])} is not null as is_new, o.{quoted(keys[0])} is not null as is_old",
        f"strftime(coalesce(n.{time}, o.{time}), '%Y-%m-%d') as day",
    )
    return ", ".join([*there, *differs])


def _days(connection: duckdb.DuckDBPyConnection, both: list[str]) -> list[DayChanges]:
    differs = " or ".join(f"d{number}" for number in range(len(both))) or "false"
    found = connection.execute(
        "select day, count_if(not is_old), count_if(not is_new),"
        f" count_if(is_old and is_new and ({differs}))"
        " from pairs group by day order by day"
    ).fetchall()
    return [DayChanges(*one) for one in found if any(one[1:])]


def _changed_columns(connection: duckdb.DuckDBPyConnection, both: list[str]) -> dict[str, int]:
    named = {f"d{number}": name for number, name in enumerate(both)}
    changed: dict[str, int] = {}
    for group in in_groups(named):
        counts = ", ".join(f"count_if(is_old and is_new and {one})" for one in group)
        (row,) = connection.execute(f"select {counts} from pairs").fetchall()
        changed.update({named[one]: n for one, n in zip(group, row, strict=True) if n})
    return changed
