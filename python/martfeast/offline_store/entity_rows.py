"""The entity rows of a retrieval: a frame, a file or a query, and the table that is matched."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import literal, parquet_rows
from martfeast.offline_store.source import Columns, OfflineDataError, describe, local_path

EVENT_TIMESTAMP = "event_timestamp"


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
        if len(set(names)) < len(names):
            raise OfflineDataError(
                "The entity frame has two columns of one name. Rename one of them."
            )
        types = dict(zip(names, describe(connection, "entity_frame").types.values(), strict=True))
        times = [name for name, type_ in types.items() if type_.startswith(("TIMESTAMP", "DATE"))]
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
        if not types[timestamp].startswith(("TIMESTAMP", "DATE")) and types[timestamp] != '"NULL"':
            raise OfflineDataError(
                f"Column {timestamp} of the entity frame is {types[timestamp]}, and must be a"
                " timestamp. Convert it."
            )
        return EntityFrame(Columns(types), timestamp, table)

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
        moment = Columns({at: frame.columns.types[frame.timestamp]}).utc(at)
        columns = {alias: sql for keys in by_view for alias, sql in keys.items()}
        columns["moment"] = moment
        selected = [f"{sql} as {alias}" for alias, sql in columns.items()]
        order = ", ".join([*max(by_view, key=by_view.count), "moment"])
        connection.execute(
            f"create temp table unsorted as select {', '.join(selected)} from entity_frame;"
            "create temp table entity_rows as select *, rowid as position from unsorted"
            f" order by {order}; drop table unsorted"
        )
        sql = "select count(*), min(moment), max(moment) from entity_rows"
        return Spine(frame, *connection.execute(sql).fetchall()[0])


def open_frame(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    entity_df: "pd.DataFrame | pyarrow.Table | str | Path",
) -> EntityFrame:
    """Return the entity rows of a frame, a file or a query.

    Raises:
        OfflineDataError: the frame is of no known kind, or its SQL or file cannot be read.

    """
    table = None
    if isinstance(entity_df, pd.DataFrame):
        table = pyarrow.Table.from_pandas(entity_df, preserve_index=False)
    elif isinstance(entity_df, pyarrow.Table):
        table = entity_df.replace_schema_metadata(None)
    if table is not None:
        names = list(table.column_names)
        numbered = table.rename_columns([f"c{number}" for number in range(len(names))])
        connection.register("entity_frame", numbered)
        return EntityFrame.of(connection, names, table)
    text = str(entity_df)
    if isinstance(entity_df, Path) or text.strip().lower().endswith(".parquet"):
        relation = parquet_rows(local_path(config, text.strip()))
    elif isinstance(entity_df, str):
        attach_warehouse(connection, config)
        relation = f"({text.strip().rstrip(';')})"
    else:
        raise OfflineDataError(
            f"The entity frame is a {type(entity_df).__name__}. Give a pandas DataFrame, an Arrow"
            " table, the path of a Parquet file, or an SQL query."
        )
    try:
        names = list(describe(connection, relation).types)
        aliases = ", ".join(f"c{number}" for number in range(len(names)))
        connection.execute(f"create temp table entity_frame as from {relation} as rows({aliases})")
    except duckdb.Error as error:
        raise OfflineDataError(
            f"The entity frame cannot be read: {str(error).splitlines()[0]}. It was: {text}"
        ) from error
    return EntityFrame.of(connection, names)


def attach_warehouse(connection: duckdb.DuckDBPyConnection, config: RepoConfig) -> None:
    """Open the configured warehouse, read-only, as what SQL runs over."""
    warehouse = config.offline_store.warehouse
    if warehouse is None:
        return
    path = Path(config.repo_path or ".") / warehouse
    if not path.exists():
        raise OfflineDataError(
            f"The warehouse {path} does not exist. Build it, or correct offline_store.warehouse in"
            " feature_store.yaml."
        )
    try:
        connection.execute(f"attach {literal(str(path))} as warehouse (read_only); use warehouse")
    except duckdb.Error as error:
        raise OfflineDataError(
            f"The warehouse {path} cannot be opened: {str(error).splitlines()[0]}. If dbt is"
            " running, try again when it is done."
        ) from error
