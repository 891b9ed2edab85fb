"""The entity rows of a retrieval in Spark: keys and moments, with their order."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pyarrow
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import literal, parquet_rows
from martfeast.offline_store.columns import (
    FLOATS,
    INTEGERS,
    READABLE_TEXT,
    OfflineDataError,
    utc,
)
from martfeast.offline_store.entity_rows import (
    EVENT_TIMESTAMP,
    EntityFrame,
    Spine,
    check_names,
    names_in_file,
    open_table,
    path_or_query,
)
from martfeast.offline_store.frames import first_line, printable
from martfeast.offline_store.joined_view import check_frame, shared_keys
from martfeast.offline_store.source import local_path
from martfeast.offline_store.spark_session import OwnSession
from martfeast.offline_store.spark_source import (
    EPOCH,
    MICROSECOND,
    ROW,
    arrow_types,
    check_types,
    micros,
    read_parquet,
    spark_arrow,
    spark_schema,
)
from martfeast.offline_store.spark_view import SparkView, is_moment

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIRST = (datetime(1, 1, 1) - EPOCH) // MICROSECOND
LAST = (datetime(9999, 12, 31, 23, 59, 59, 999999) - EPOCH) // MICROSECOND


@dataclass(frozen=True)
class SparkSpine:
    """What is matched in Spark.

    rows: for each entity row its moment (microseconds UTC), its keys by view and number (v0_k0),
    and its place, which the columns ``order`` are. Rows that are in Spark have their own columns
    c0, c1 ... too; of rows in memory, the frame's table has them.
    types: Arrow's, of these columns as they were before Spark read them.
    """

    frame: EntityFrame
    rows: "DataFrame"
    order: list[str]
    types: list[pyarrow.DataType]
    first: datetime | None  # the earliest and the latest moment, UTC
    last: datetime | None


def open_spine(
    connection: duckdb.DuckDBPyConnection,
    own: OwnSession,
    config: RepoConfig,
    entity_df: object,
    views: list[SparkView],
) -> SparkSpine:
    """Return the entity rows of a frame, a file or a query, ready to be matched.

    Args:
        connection: a DuckDB, which looks at types, and at rows in memory.
        own: the session to work in.
        config: of the feature store; relative paths are relative to its repo.
        entity_df: pandas, Arrow, a Spark DataFrame, the path of a Parquet file or folder, or a
            query, which the user's session runs.
        views: what is asked for.

    Raises:
        OfflineDataError: the rows are of no known kind or cannot be read, or lack a key, or have a
            moment or key that cannot be read exactly.

    """
    from pyspark.sql import DataFrame

    if isinstance(entity_df, pd.DataFrame | pyarrow.Table):
        frame = open_table(connection, entity_df)
        check_frame(connection, frame, [one.view for one in views])
        return _of_memory(connection, own, frame, views)
    if isinstance(entity_df, DataFrame):
        names, rows = list(entity_df.columns), own.from_users(entity_df)
        check_names(names)
        return _of_spark(connection, names, _numbered(rows), views)
    text, is_file = path_or_query(entity_df)
    if is_file:
        return _of_file(connection, own, local_path(config, text), views)
    names, rows = _query(own, text)
    check_names(names)
    return _of_spark(connection, names, _numbered(rows), views)


def spine_from_views(
    connection: duckdb.DuckDBPyConnection,
    views: list[SparkView],
    start: datetime,
    end: datetime,
) -> SparkSpine:
    """Return entity rows of every key and timestamp that views have in a range."""
    names = shared_keys([one.view for one in views])
    selected = []
    for one in views:
        by_entity = {name: key for key, name in one.view.keys.items()}
        source, time = one.view.source, one.view.source.timestamp
        columns = [one.source.sql(source.column(by_entity[name])) for name in names]
        keys = [f"{column} as c{n}" for n, column in enumerate(columns, 1)]
        moment = f"timestamp_micros({one.source.micros(time)}) as c0"
        selected.append(one.source.in_range(time, start, end).selectExpr(moment, *keys))
    union = selected[0]
    for other in selected[1:]:
        union = union.unionAll(other)
    every = union.distinct()
    return _of_spark(
        connection, [EVENT_TIMESTAMP, *names], _numbered(every.sort(*every.columns)), views
    )


def _query(own: OwnSession, text: str) -> "tuple[list[str], DataFrame]":
    """Return the columns and the rows of a query, which the user's session runs."""
    from pyspark.errors import PySparkException

    query = text.rstrip().rstrip(";")
    try:
        text.encode()  # Java takes no halves of surrogate pairs
        # In brackets stands a query and nothing that writes; by itself, it keeps its order.
        own.users.sql(f"select * from (\n{query}\n) limit 0")
        rows = own.users.sql(query)
    except (PySparkException, UnicodeError) as error:
        raise OfflineDataError(
            f"The entity rows are one query, and this cannot be run: {first_line(error)}. It was:"
            f" {printable(text)}"
        ) from error
    return list(rows.columns), own.from_users(rows)


def _numbered(rows: "DataFrame") -> "DataFrame":
    """Return rows with their columns called c0, c1 ..., and their position p0."""
    renamed = rows.toDF(*(f"c{number}" for number in range(len(rows.columns))))
    return renamed.selectExpr("*", "monotonically_increasing_id() as p0")


def _of_file(
    connection: duckdb.DuckDBPyConnection, own: OwnSession, path: Path, views: list[SparkView]
) -> SparkSpine:
    """Return the entity rows of a Parquet file or folder."""
    try:
        names = names_in_file(connection, path)
        relation = parquet_rows(path)
        columns = connection.sql(f"from {relation} limit 0")
        types = dict(zip(names, map(str, columns.types), strict=True))
        schema = arrow_types(connection, relation, columns.columns)
    except (duckdb.Error, pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise OfflineDataError(
            f"The entity frame cannot be read: {first_line(error)}. It was: {printable(str(path))}"
        ) from error
    check_types(types, types, "The entity rows")
    named = pyarrow.schema(
        [field.with_name(name) for field, name in zip(schema, names, strict=True)]
    )
    rows = read_parquet(own.session, path, spark_schema(named))
    rows = rows.withColumnsRenamed(dict(zip(ROW, ("p0", "p1"), strict=True)))
    return _of_spark(connection, names, rows, views, schema)


def _of_memory(
    connection: duckdb.DuckDBPyConnection,
    own: OwnSession,
    frame: EntityFrame,
    views: list[SparkView],
) -> SparkSpine:
    """Return the entity rows of a table that DuckDB has looked at; it converts the keys."""
    by_view = [one.view.entity_keys(frame) for one in views]
    spine = Spine.of(connection, frame, by_view)
    selected = ["position as p0", "epoch_us(moment) as moment"]
    for one in views:
        for name, key in zip(one.spine_keys, one.view.keys, strict=True):
            column = one.view.entity_column(key, frame)
            selected.append(f"{_for_spark(column, one.view.key_type(key))} as {name}")
    rows = connection.sql(f"select {', '.join(selected)} from entity_rows").to_arrow_table()
    types = [pyarrow.field(field.name, spark_arrow(field.type)) for field in rows.schema]
    table = rows.cast(pyarrow.schema(types))
    in_spark = own.session.createDataFrame(table)
    return SparkSpine(frame, in_spark, ["p0"], [], spine.first, spine.last)


def _for_spark(column: str, type_: str) -> str:
    """Return SQL of a key of the table entity_rows as it is in a view's rows in Spark."""
    column = f"cast({column} as {type_})" if type_ != '"NULL"' else column
    if not is_moment(type_):
        return f"cast({column} as varchar)" if type_.startswith("ENUM(") else column
    return f"epoch_ns({column})" if type_.endswith("_NS") else f"epoch_us({utc(column, type_)})"


def _of_spark(
    connection: duckdb.DuckDBPyConnection,
    names: list[str],
    rows: "DataFrame",
    views: list[SparkView],
    schema: pyarrow.Schema | None = None,
) -> SparkSpine:
    """Return the entity rows that are in Spark, called c0, c1 ..., with their place behind.

    schema: of their types before Spark read them, if it was not Spark's.
    """
    order = rows.columns[len(names) :]
    given = rows.limit(0).toArrow().schema
    if schema is None:
        schema = pyarrow.schema(list(given)[: len(names)])
    numbered = [field.with_name(f"c{number}") for number, field in enumerate(schema)]
    connection.register("entity_frame", pyarrow.schema(numbered).empty_table())
    frame = EntityFrame.of(connection, names)
    check_frame(connection, frame, [one.view for one in views])
    types = dict(rows.dtypes)
    at = frame.sql(frame.timestamp)
    moment = micros(at, types[at], "try_cast")
    selected, checks = ["*"], _moment_checks(frame, types)
    for number, one in enumerate(views):
        for name, key in zip(one.spine_keys, one.view.keys, strict=True):
            selected.append(f"{_key(one, key, frame, types)} as {name}")
            if one.view.is_changed(key, frame):
                checks[(number, key)] = _inexact(one, key, frame, types)
    first, last, *bad = rows.selectExpr(
        f"min({moment}) as first",
        f"max({moment}) as last",
        *(
            f"min(case when {condition} then cast({column} as string) end) as bad{number}"
            for number, (column, condition) in enumerate(checks.values())
        ),
    ).collect()[0]
    for check, value in zip(checks, bad, strict=True):
        if value is not None:
            raise _bad_value(check, value, frame, views)
    return SparkSpine(
        frame,
        rows.selectExpr(*selected, f"{moment} as moment"),
        order,
        schema.types,
        _moment(first),
        _moment(last),
    )


Check = tuple[int, str]


def _moment_checks(frame: EntityFrame, types: dict[str, str]) -> dict[Check, tuple[str, str]]:
    """Return for each check of moments the column, and a condition of bad values."""
    column = frame.sql(frame.timestamp)
    type_ = types[column]
    moment = micros(column, type_, "try_cast")
    outside = f"{moment} not between {FIRST} and {LAST}"
    unreadable = "false"
    if type_ == "string":
        pattern = literal(f"^{READABLE_TEXT}$".replace("\\", "\\\\"))
        unreadable = (
            f"not ({column} rlike {pattern}) or ({column} is not null and {moment} is null)"
        )
    if type_ == "bigint":
        unreadable = f"{column} % 1000 <> 0"
    return {(-1, "unreadable"): (column, unreadable), (-1, "outside"): (column, outside)}


def _bad_value(
    check: Check, value: str, frame: EntityFrame, views: list[SparkView]
) -> OfflineDataError:
    """Return the error for a value that a check found."""
    number, kind = check
    if number >= 0:
        return views[number].view.inexact_key(kind, frame, value)
    what = f"The entity rows: column {frame.timestamp} has '{value}', "
    if kind == "outside":
        return OfflineDataError(
            f"{what}and moments are in the years 1 to 9999. Correct it, or leave it null: such a"
            " row finds nothing."
        )
    return OfflineDataError(
        f"{what}which cannot be read exactly as a time to the microsecond. Correct or round it."
    )


def _key(view: SparkView, key: str, frame: EntityFrame, types: dict[str, str]) -> str:
    """Return SQL of a key's column as the view has it in Spark; null where that cannot be."""
    column = frame.sql(view.view.keys[key])
    type_ = view.view.key_type(key)
    if is_moment(type_):
        value = micros(column, types[column])
        return f"{value} * 1000" if type_.endswith("_NS") else value
    target = view.key_type(key)
    return column if types[column] == target else f"try_cast({column} as {target})"


def _inexact(
    view: SparkView, key: str, frame: EntityFrame, types: dict[str, str]
) -> tuple[str, str]:
    """Return a key's column, and a condition of the values that are not the same in the view."""
    column = frame.sql(view.view.keys[key])
    if is_moment(view.view.key_type(key)):
        return column, "false"
    new = _key(view, key, frame, types)
    changed = f"not (try_cast({new} as {types[column]}) <=> {column})"
    given = frame.columns.types[view.view.keys[key]]
    if given in FLOATS and view.view.key_type(key) in INTEGERS:
        changed += f" or abs({column}) >= {FLOATS[given]}"
    return column, changed


def _moment(microseconds: int | None) -> datetime | None:
    """Return a moment in UTC without zone."""
    if microseconds is None:
        return None
    return EPOCH + microseconds * MICROSECOND
