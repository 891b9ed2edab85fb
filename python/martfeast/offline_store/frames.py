"""Rows that are given in memory: pandas to Arrow to DuckDB, with the values that were given."""

import numbers
from datetime import date, datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow

from martfeast.offline_store.columns import OfflineDataError, describe

# What Arrow and pandas raise for values that they cannot convert.
CONVERSION_ERRORS = (pyarrow.ArrowException, ArithmeticError, TypeError, ValueError)


def arrow_table(frame: pd.DataFrame) -> pyarrow.Table:
    """Return a frame's columns as they are, without its index.

    Raises:
        OfflineDataError: two columns have one name, or a column cannot be converted without a
            change: it mixes kinds of values, or has some that Arrow has not.

    """
    names = [str(name) for name in frame.columns]
    columns = []
    for number, name in enumerate(names):
        column = frame.iloc[:, number]
        what = f"The entity rows: column {printable(name)}"
        if column.dtype == object:
            _check_objects(column, what)
        try:
            columns.append(pyarrow.table([pyarrow.Array.from_pandas(column)], names=[name])[0])
        except CONVERSION_ERRORS as error:
            raise OfflineDataError(
                f"{what} cannot be read: {first_line(error)}. Convert it to numbers, text or times."
            ) from error
    return pyarrow.table(columns, names=names)


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


def _check_objects(column: "pd.Series[Any]", what: str) -> None:
    """Raise OfflineDataError for objects that Arrow would make others of, or fail on."""
    values = column.dropna()
    kinds = sorted({_kind(value) for value in values})
    if len(kinds) > 1:
        raise OfflineDataError(f"{what} mixes {' and '.join(kinds)}. Convert it to one of them.")
    fine = next((value for value in values if getattr(value, "nanosecond", 0)), None)
    if fine is not None:
        raise OfflineDataError(f"{what} has '{fine}', which is finer than a microsecond. Round it.")


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
    if isinstance(value, str):
        return "text"
    return f"{type(value).__name__} objects"


def printable(text: str) -> str:
    """Return a text with what no encoding can write, such as half a surrogate pair, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    # Arrow's errors have a second argument; a UnicodeError makes its sentence of several.
    is_sentence = isinstance(error, UnicodeError) or not error.args
    return printable(str(error if is_sentence else error.args[0]).strip().split("\n")[0])
