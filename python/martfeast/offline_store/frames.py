"""Rows that are given in memory: pandas to Arrow to DuckDB, with the values that were given."""

import numbers
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow

from martfeast.offline_store.columns import OfflineDataError, describe

# What Arrow and pandas raise for values that they cannot convert.
CONVERSION_ERRORS = (pyarrow.ArrowException, ArithmeticError, TypeError, ValueError)
# Arrow goes down into lists in lists until the stack ends, and so the process.
DEEPEST = 32
OBJECT = np.dtype(object)
LONGEST_SHOWN = 500
LISTS = (list, tuple, set, frozenset, np.ndarray)


def arrow_table(frame: pd.DataFrame) -> pyarrow.Table:
    """Return a frame's columns as they are, without its index.

    Raises:
        OfflineDataError: two columns have one name, or a column cannot be converted without a
            change: it mixes kinds of values, or has some that Arrow has not.

    """
    names = [_name(label, number) for number, label in enumerate(frame.columns)]
    columns = []
    for number, name in enumerate(names):
        column = frame.iloc[:, number]
        what = f"The entity rows: column {printable(name)}"
        if isinstance(column.dtype, pd.SparseDtype):
            column = pd.Series(np.asarray(column))
        if isinstance(column.dtype, pd.CategoricalDtype):
            _check_objects(column.cat.categories.to_series(), what)
        if column.dtype == object:
            _check_objects(column, what)
        try:
            columns.append(pyarrow.table([pyarrow.Array.from_pandas(column)], names=[name])[0])
        except UnicodeEncodeError as error:
            half = printable(error.object[error.start : error.end])
            raise OfflineDataError(
                f"{what} cannot be read: surrogates not allowed, and it has {half}. Correct it."
            ) from error
        except CONVERSION_ERRORS as error:
            raise OfflineDataError(
                f"{what} cannot be read: {first_line(error)}. Convert it to numbers, text or times."
            ) from error
    return pyarrow.table(columns, names=names)


def check_arrow(table: pyarrow.Table) -> None:
    """Raise OfflineDataError for a table whose bytes are not what its types say."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pyarrow.ArrowException as error:
            raise OfflineDataError(
                f"The entity rows: column {printable(name)} is damaged: {first_line(error)}. Write"
                " it anew."
            ) from error


def register(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    table: pyarrow.Table,
    names: list[str],
    what: str,
) -> None:
    """Make a table a relation.

    names: what its columns are called in messages. what: whose rows they are, for messages.

    Raises:
        OfflineDataError: DuckDB does not have the type of a column.

    """
    for number, name in enumerate(names):
        try:
            connection.register(relation, table.select([number]))
            describe(connection, relation)
        except (duckdb.Error, pyarrow.ArrowException) as error:
            raise OfflineDataError(
                f"{what}: column {printable(name)} of type {table.schema.types[number]} cannot be"
                f" read: {first_line(error)}. Convert it."
            ) from error
    connection.register(relation, table)


def _name(label: Any, number: int) -> str:
    """Return what a column is called."""
    try:
        return str(label)
    except Exception as error:  # whatever an object that is a name raises
        raise OfflineDataError(
            f"The entity rows: column {number} is called by an object without text. Rename it."
        ) from error


def _check_objects(column: "pd.Series[Any]", what: str) -> None:
    """Raise OfflineDataError for objects that Arrow would make others of, or fail on."""
    values = list(column.dropna())
    by_place: dict[str, set[str]] = {"": {_kind(value) for value in values}}
    if not by_place[""].isdisjoint(("lists", "dictionaries")):
        values = _leaves(values, by_place, what)
    for kinds in by_place.values():
        if len(kinds) > 1:
            mixed = " and ".join(sorted(kinds))
            raise OfflineDataError(f"{what} mixes {mixed}. Convert it to one of them.")
        if "times of day with a zone" in kinds:
            raise OfflineDataError(f"{what} has times of day with a zone. Leave the zone out.")
    fine = next((value for value in values if getattr(value, "nanosecond", 0)), None)
    if fine is not None:
        raise OfflineDataError(f"{what} has '{fine}', which is finer than a microsecond. Round it.")


def _leaves(values: Iterable[Any], by_place: dict[str, set[str]], what: str) -> list[Any]:
    """Return what is in lists and dictionaries; add the kinds of it by its place in them."""
    leaves = []
    nodes = [(value, "", 0) for value in values]
    while nodes:
        value, place, depth = nodes.pop()
        if value is None or value is pd.NaT or value is pd.NA:
            continue
        if depth > DEEPEST:
            message = f"is nested deeper than {DEEPEST} levels, or holds itself. Flatten it."
            raise OfflineDataError(f"{what} {message}")
        kind = _kind(value)
        by_place.setdefault(place, set()).add(kind)
        if kind == "dictionaries":
            # A name is written as Python writes it, so that no name looks like a place.
            nodes += [(one, f"{place}{key!r}", depth + 1) for key, one in value.items()]
        elif kind == "lists" and getattr(value, "dtype", OBJECT) == OBJECT:
            nodes += [(one, f"{place}[]", depth + 1) for one in value]
        else:
            leaves.append(value)
    return leaves


def _kind(value: object) -> str:
    """Return what a value is, so that Arrow converts values of one kind to one type."""
    if isinstance(value, bool | np.bool_):
        return "booleans"
    if isinstance(value, numbers.Number):
        return "numbers"
    if isinstance(value, datetime):
        return "times with a zone" if value.tzinfo else "times without a zone"
    if isinstance(value, date):
        return "dates"
    if isinstance(value, time):
        return "times of day with a zone" if value.tzinfo else "times of day"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "dictionaries"
    if isinstance(value, LISTS):
        return "lists"
    return f"{type(value).__name__} objects"


def printable(text: str) -> str:
    """Return a text with what cannot be written or shown escaped, and cut off where it is long."""
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return "".join(
        one if one.isprintable() or one.isspace() else one.encode("unicode_escape").decode()
        for one in shown
    )


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    # Arrow's errors have a second argument; some make their sentence of several.
    is_sentence = isinstance(error, UnicodeError | OSError) or not error.args
    return printable(str(error if is_sentence else error.args[0]).strip().split("\n")[0]).rstrip(
        "."
    )
