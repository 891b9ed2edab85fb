"""The entity rows of a retrieval: a frame, a file or a query, and the table that is matched."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow
import pyarrow.parquet
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import parquet_rows
from martfeast.offline_store.columns import (
    TIMES,
    Columns,
    OfflineDataError,
    check_time,
    describe,
    utc,
    value_where,
)
from martfeast.offline_store.entity_query import open_query
from martfeast.offline_store.frames import arrow_table, check_arrow, first_line, printable, register
from martfeast.offline_store.source import local_path

EVENT_TIMESTAMP = "event_timestamp"
READABLE = (
    " SQL reads the warehouse, the files of the feature views asked for, and what"
    " offline_store.readable_paths in feature_store.yaml names."
)


@dataclass(frozen=True)
class EntityFrame:
    """The entity rows as they were given: the relation entity_frame, its columns called by numbers.

    columns: all of them, by the user's names. timestamp: the one that is the moment.
    table: the rows, if they are in memory.
    """

    columns: Columns
    timestamp: str
    table: pyarrow.Table | None = None

    @staticmethod
    def of(
        connection: duckdb.DuckDBPyConnection, names: list[str], table: pyarrow.Table | None = None
    ) -> "EntityFrame":
        """Look at the relation entity_frame, whose columns are to be called by these names."""
        types = dict(zip(names, describe(connection, "entity_frame").types.values(), strict=True))
        times = [name for name, type_ in types.items() if type_ in TIMES]
        if EVENT_TIMESTAMP in types:
            timestamp = EVENT_TIMESTAMP
        elif len(times) == 1:
            timestamp = times[0]
        else:
            found = f"the time columns {', '.join(times)}" if times else "no time column"
            raise OfflineDataError(
                f"The entity frame has {found}, so its moments are unclear. Call the column that"
                f" has them {EVENT_TIMESTAMP}."
            )
        frame = EntityFrame(Columns(types), timestamp, table)
        frame.check_moments(connection)
        return frame

    def check_moments(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Raise OfflineDataError unless moments can be read, and are in the years 1 to 9999."""
        what = f"The entity rows: column {self.timestamp}"
        column, type_ = self.sql(self.timestamp), self.columns.types[self.timestamp]
        check_time(connection, "entity_frame", column, type_, what)
        moment = utc(column, type_)
        outside = f"{moment} not between '0001-01-01' and '9999-12-31 23:59:59.999999'"
        value = value_where(connection, "entity_frame", column, outside)
        if value is not None:
            raise OfflineDataError(
                f"{what} has '{value}', and moments are in the years 1 to 9999. Correct it, or"
                " leave it null: such a row finds nothing."
            )

    def arrow(self, connection: duckdb.DuckDBPyConnection) -> pyarrow.Table:
        """Return the rows."""
        if self.table is not None:
            return self.table
        return connection.sql("from entity_frame").to_arrow_table()

    def sql(self, name: str) -> str:
        """Return SQL of a column."""
        return f"c{list(self.columns.types).index(name)}"


@dataclass(frozen=True)
class Spine:
    """What is matched: the table entity_rows of a frame's keys, moments and positions.

    It is sorted by keys and moment, those of most views, because an ASOF JOIN sorts what it joins,
    and what is in order already takes half the time.
    """

    frame: EntityFrame
    row_count: int
    first: datetime | None  # the earliest and the latest moment, UTC
    last: datetime | None

    @staticmethod
    def of(
        connection: duckdb.DuckDBPyConnection, frame: EntityFrame, by_view: list[dict[str, str]]
    ) -> "Spine":
        """Create the table entity_rows of a frame, with what views are looked up by.

        by_view: for each view its columns there, each with SQL of it over entity_frame.
        """
        at = frame.sql(frame.timestamp)
        columns = {alias: sql for keys in by_view for alias, sql in keys.items()}
        columns["moment"] = utc(at, frame.columns.types[frame.timestamp])
        selected = [f"{sql} as {alias}" for alias, sql in columns.items()]
        order = ", ".join([*max(by_view, key=by_view.count), "moment"])
        connection.execute(
            f"create temp table unsorted as select {', '.join(selected)} from entity_frame;"
            "create temp table entity_rows as select *, rowid as position from unsorted"
            f" order by {order}; drop table unsorted"
        )
        sql = "select count(*), min(moment), max(moment) from entity_rows"
        return Spine(frame, *connection.execute(sql).fetchall()[0])


def check_names(names: list[str]) -> None:
    """Raise OfflineDataError if two columns of the entity rows have one name, or there are none."""
    if not names:
        raise OfflineDataError(
            f"The entity frame has no columns. Give it the keys and {EVENT_TIMESTAMP}."
        )
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise OfflineDataError(
            f"The entity frame has two columns of one name: {', '.join(doubled)}. Rename one."
        )


def open_frame(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    entity_df: "pd.DataFrame | pyarrow.Table | str | Path",
    sources: list[Path],
) -> EntityFrame:
    """Return the entity rows of a frame, a file or a query, which may read these sources.

    Raises:
        OfflineDataError: the frame is of no known kind, or its SQL, file or values cannot be read.

    """
    if isinstance(entity_df, pd.DataFrame | pyarrow.Table):
        return open_table(connection, entity_df)
    text, is_file = path_or_query(entity_df)
    try:
        text.encode()  # DuckDB takes no halves of surrogate pairs
        if is_file:
            names = _create_of_file(connection, local_path(config, text))
        else:
            query = open_query(config, text, sources)
            names = query.names
            check_names(names)
            query.copy_to(connection, "entity_frame")
    except (duckdb.Error, pyarrow.ArrowException, OSError, UnicodeError) as error:
        advice = READABLE * isinstance(error, duckdb.PermissionException)
        raise OfflineDataError(
            f"The entity frame cannot be read: {first_line(error)}.{advice}"
            f" It was: {printable(text)}"
        ) from error
    return EntityFrame.of(connection, names)


def path_or_query(entity_df: object) -> tuple[str, bool]:
    """Return the text of entity rows that are not in memory, and whether it is a file's path.

    Raises:
        OfflineDataError: they are of no known kind.

    """
    if not isinstance(entity_df, str | Path):
        raise OfflineDataError(
            f"The entity frame is a {type(entity_df).__name__}. Give a pandas DataFrame, an Arrow"
            " table, the path of a Parquet file, or an SQL query."
        )
    text = str(entity_df).strip()
    is_query = re.match(r"(select|with|from)\s", text, re.IGNORECASE)
    ends_as_file = text.lower().endswith(".parquet")  # as the comment of a query may, too
    return text, isinstance(entity_df, Path) or (ends_as_file and not is_query)


def open_table(
    connection: duckdb.DuckDBPyConnection, entity_df: "pd.DataFrame | pyarrow.Table"
) -> EntityFrame:
    """Return the entity rows of a table, which becomes the relation entity_frame.

    Raises:
        OfflineDataError: a column cannot be read.

    """
    if isinstance(entity_df, pd.DataFrame):
        table = arrow_table(entity_df)
    else:
        check_arrow(entity_df)
        table = entity_df.replace_schema_metadata(None)
    names = list(table.column_names)
    check_names(names)
    numbered = table.rename_columns([f"c{number}" for number in range(len(names))])
    register(connection, "entity_frame", numbered, names, "The entity rows")
    return EntityFrame.of(connection, names, table)


def _create_of_file(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """Create the table entity_frame of a Parquet file or folder; return its columns' names."""
    relation = parquet_rows(path)
    names = names_in_file(connection, path)
    aliases = ", ".join(f"c{number}" for number in range(len(names)))
    connection.execute(f"create temp table entity_frame as from {relation} as rows({aliases})")
    return names


def names_in_file(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file or folder, as they are there."""
    names = list(describe(connection, parquet_rows(path)).types)
    if path.is_file():  # DuckDB renames columns that differ only by case
        own = pyarrow.parquet.read_schema(path).names
        names[: len(own)] = own
    check_names(names)
    return names
