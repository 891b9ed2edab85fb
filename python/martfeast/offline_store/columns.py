"""Columns of data that a retrieval reads, and how their values become another type: exactly."""

from dataclasses import dataclass

import duckdb

from martfeast.engines.duckdb import literal, quoted

ZONED = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE", *ZONED}
NULL = '"NULL"'  # the type of a column that has nothing but nulls
READABLE = {*TIMES, "VARCHAR", NULL}  # the types of time columns
INTEGERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
}
# The integers that a float tells from their neighbours are smaller.
FLOATS = {"FLOAT": 2**24, "DOUBLE": 2**53}
READABLE_TEXT = (
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6}0*)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?"
)


class OfflineDataError(Exception):
    """Data that cannot be read as asked: which view or frame, what is wrong, and the next step."""


def utc(column: str, type_: str, cast: str = "cast") -> str:
    """Return SQL of a time column, given as SQL, as TIMESTAMP in UTC; null stays null.

    Text with an offset is that instant, and whatever has no zone is UTC. With the cast "try_cast",
    what cannot be read is null.
    """
    if type_ == "TIMESTAMP":
        return column
    # The session is in UTC, so these casts are exact; of text, only this one heeds the offset.
    if type_ in ZONED or type_ == "VARCHAR":
        # Times six faster than a cast, which is left for infinity.
        zoned = f"{cast}({column} as timestamptz)"
        return f"coalesce(make_timestamp(epoch_us({zoned})), {cast}({zoned} as timestamp))"
    return f"{cast}({column} as timestamp)"


def unreadable(column: str, type_: str) -> str:
    """Return a condition of the times that ``utc`` does not read exactly. Null is none of them."""
    if type_ in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", NULL):
        return "false"
    if type_.endswith("_NS"):
        return f"epoch_ns({column}) % 1000 <> 0"
    lost = f"{column} is not null and {utc(column, type_, 'try_cast')} is null"
    if type_ == "VARCHAR":
        return f"not regexp_full_match({column}, {literal(READABLE_TEXT)}) or ({lost})"
    return lost


def converted(column: str, type_: str, target: str) -> str:
    """Return SQL of a column, given as SQL, as another type; null where that cannot be."""
    if target in TIMES and type_ in READABLE:
        column = utc(column, type_, "try_cast")
    return f"try_cast({column} as {target})"


def inexact(column: str, type_: str, target: str) -> str:
    """Return a condition of the values that are not the same, or nothing, as another type."""
    new = converted(column, type_, target)
    if target in TIMES and type_ in READABLE:
        moment = utc(column, type_, "try_cast")
        changed = f"{utc(new, target, 'try_cast')} is distinct from {moment}"
        return f"({unreadable(column, type_)}) or {changed}"
    changed = f"try_cast({new} as {type_}) is distinct from {column}"
    if type_ in FLOATS and target in INTEGERS:
        changed += f" or abs({column}) >= {FLOATS[type_]}"
    return changed


@dataclass(frozen=True)
class Columns:
    """The columns of a relation: their DuckDB types, by name."""

    types: dict[str, str]

    def utc(self, name: str) -> str:
        """Return SQL of a time column as TIMESTAMP in UTC, microseconds; null stays null."""
        return utc(quoted(name), self.types[name])

    def require(self, names: list[str], what: str, where: str) -> None:
        """Raise OfflineDataError naming the columns that are not there."""
        missing = [name for name in names if name not in self.types]
        if missing:
            lower = {name.lower() for name in self.types}
            hint = " Names that differ only by case are one to DuckDB: rename one of two."
            raise OfflineDataError(
                f"{what}: {where} has no column {', '.join(missing)}. It has:"
                f" {', '.join(self.types)}. Correct the declaration or the data."
                + hint
                * any(name.lower() in lower for name in missing)
            )


def describe(connection: duckdb.DuckDBPyConnection, relation: str) -> Columns:
    """Return the columns of a relation, given as SQL after FROM."""
    rows = connection.execute(f"describe from {relation}").fetchall()
    return Columns({str(row[0]): str(row[1]) for row in rows})


def value_where(
    connection: duckdb.DuckDBPyConnection, relation: str, column: str, condition: str
) -> str | None:
    """Return a value of a column, given as SQL, where a condition holds; None if there is none."""
    if condition == "false":
        return None
    sql = f"select cast({column} as varchar) from {relation} where {condition} limit 1"
    try:
        rows = connection.execute(sql).fetchall()
    except (duckdb.ConversionException, duckdb.InternalException):
        return "a value that is out of range"  # no text can be made of it
    return str(rows[0][0]) if rows else None


def check_time(
    connection: duckdb.DuckDBPyConnection, relation: str, column: str, type_: str, what: str
) -> None:
    """See that a time column can be read exactly.

    Args:
        connection: where the relation is.
        relation: what stands after FROM.
        column: SQL of the column.
        type_: the DuckDB type of the column.
        what: the view or frame and the column, for messages.

    Raises:
        OfflineDataError: the column has no times, or one that would be read as another.

    """
    if type_ not in READABLE:
        raise OfflineDataError(
            f"{what} is {type_}, and must be a timestamp, a date, or text that is one. Convert it."
        )
    value = value_where(connection, relation, column, unreadable(column, type_))
    if value is not None:
        raise OfflineDataError(
            f"{what} has '{value}', which cannot be read exactly as a time to the microsecond."
            " Correct or round it; text is like 2026-03-01 or 2026-03-01 12:00:00.5, and has an"
            " offset like -05:00 if it is not UTC."
        )
