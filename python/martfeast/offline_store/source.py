"""Data that a retrieval reads: the Parquet files of a data source."""

import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.file_source import FileSource
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import connect_in_utc, literal, parquet_path, quoted, timestamp
from martfeast.files import TEMPORARY
from martfeast.offline_store.columns import Columns, OfflineDataError, check_time, describe
from martfeast.published.verified import FILE_TAGS, damage_of_tagged


def interval(value: timedelta) -> str:
    """Return a duration as an SQL literal, to the microsecond."""
    return f"to_microseconds({value // timedelta(microseconds=1)})"


def connect(config: RepoConfig) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB of its own, in UTC, with the store's settings."""
    settings = config.offline_store
    repo = Path(config.repo_path or ".")
    connection = connect_in_utc()
    spill = repo / (settings.spill_directory or tempfile.gettempdir())
    spill.mkdir(parents=True, exist_ok=True)
    # A folder for each connection: two that share one would take each other's files.
    folder = spill / f"{TEMPORARY}spill-{uuid.uuid4().hex}"
    connection.execute(f"set temp_directory = {literal(str(folder))}")
    if settings.memory_limit:
        connection.execute(f"set memory_limit = {literal(settings.memory_limit)}")
    if settings.threads:
        connection.execute(f"set threads = {int(settings.threads)}")
    return connection


@dataclass(frozen=True)
class Source:
    """A data source that can be read.

    relation: what stands after FROM. timestamp, created: columns in the data.
    original: the column in the data for each name that Feast calls it by.
    """

    path: Path
    relation: str
    columns: Columns
    row_count: int
    timestamp: str
    created: str | None
    original: dict[str, str]

    def column(self, name: str) -> str:
        """Return the name in the data of a column that Feast calls by this name."""
        return self.original.get(name, name)

    @property
    def times(self) -> list[str]:
        """The time columns in the data: the timestamp and, if there is one, the creation."""
        return [self.timestamp, *filter(None, [self.created])]

    def check_times(
        self, connection: duckdb.DuckDBPyConnection, relation: str, times: list[str], what: str
    ) -> None:
        """Raise OfflineDataError if time columns cannot be read exactly from rows of this kind."""
        self.columns.require(times, what, str(self.path))
        for name in times:
            type_ = self.columns.types[name]
            check_time(connection, relation, quoted(name), type_, f"{what}: column {name}")


def open_source(
    connection: duckdb.DuckDBPyConnection, config: RepoConfig, source: DataSource | None, what: str
) -> Source:
    """Return a Parquet file source, ready to be read.

    Args:
        connection: where it is going to be read.
        config: of the feature store; relative paths are relative to its repo.
        source: the data source.
        what: what it is the source of, for messages.

    Raises:
        OfflineDataError: it is not Parquet on this machine, cannot be read, or is not the file that
            was published when it was applied.

    """
    if not isinstance(source, FileSource) or not isinstance(
        source.file_format or ParquetFormat(), ParquetFormat
    ):
        raise OfflineDataError(f"{what}: {type(source).__name__} is not a Parquet FileSource.")
    path = local_path(config, source.path)
    if damage := damage_of_tagged(path, source.tags):
        raise OfflineDataError(
            f"{what}: {path} {damage}. Remove it, then run `dbt build` and `feast apply`."
        )
    files = parquet_path(path)
    # Of what was published, the folders above are no columns, whatever their names.
    hive = ", hive_partitioning = false" if set(FILE_TAGS) <= set(source.tags) else ""
    relation = f"read_parquet({files}, union_by_name = true{hive})"
    try:
        columns = describe(connection, relation)
        (row_count,) = connection.execute(
            f"select sum(num_rows)::bigint from parquet_file_metadata({files})"
        ).fetchall()[0]
    except duckdb.Error as error:
        raise OfflineDataError(
            f"{what}: {path} cannot be read as Parquet: {str(error).splitlines()[0]}."
            " Write the file, or correct the path of the source."
        ) from error
    original = {new: old for old, new in source.field_mapping.items() if old in columns.types}
    created = source.created_timestamp_column
    return Source(
        path=path,
        relation=relation,
        columns=columns,
        row_count=row_count or 0,
        timestamp=original.get(source.timestamp_field, source.timestamp_field),
        created=original.get(created, created) if created else None,
        original=original,
    )


def local_path(config: RepoConfig, path: str) -> Path:
    """Return a file source's path, absolute; a relative one starts at the feature repo."""
    return Path(FileSource.get_uri_for_file_path(config.repo_path, path))


def select_rows(
    config: RepoConfig,
    data_source: DataSource,
    names: list[str],
    times: list[str],
    start: datetime | None,
    end: datetime | None,
) -> tuple[duckdb.DuckDBPyConnection, str]:
    """Return a connection, and SQL over it of some columns of a source's rows in a time range.

    names: the columns. times: those of them that are times; the first is what the range is of.
    Times that are text or dates come as timestamps. The key that Feast invents for views without
    entities comes first, with its one value.
    """
    connection = connect(config)
    source, columns = open_columns(connection, config, data_source, names, times)
    dated = {name for name in times if not source.columns.types[name].startswith("TIMESTAMP")}
    selected = [
        f"{source.columns.utc(name)} as {quoted(name)}" if name in dated else quoted(name)
        for name in columns
    ]
    if DUMMY_ENTITY_ID in names:
        selected.insert(0, f"{literal(DUMMY_ENTITY_VAL)} as {quoted(DUMMY_ENTITY_ID)}")
    condition = in_range(source.columns, times[0], start, end)
    return connection, f"select {', '.join(selected)} from {source.relation} where {condition}"


def open_columns(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    data_source: DataSource,
    names: list[str],
    times: list[str],
) -> tuple[Source, list[str]]:
    """Return a source, and those columns of some that it has to have, each once.

    Raises:
        OfflineDataError: the source cannot be read, a column is not there, or a time cannot be read
            exactly.

    """
    what = f"source '{data_source.name}'"
    source = open_source(connection, config, data_source, what)
    columns = [name for name in dict.fromkeys(names) if name != DUMMY_ENTITY_ID]
    source.columns.require(columns, what, "its data")
    source.check_times(connection, source.relation, times, what)
    return source, columns


def latest(rows: str, keys: list[str], order: list[str]) -> str:
    """Return SQL of one row for each key: the last in the order of some columns, nulls first."""
    partition = f"partition by {', '.join(keys)}" if keys else ""
    descending = ", ".join(f"{column} desc nulls last" for column in order)
    return f"from ({rows}) qualify row_number() over ({partition} order by {descending}) = 1"


def in_range(columns: Columns, name: str, start: datetime | None, end: datetime | None) -> str:
    """Return a condition that a time column is from start to end, both included, where given.

    It compares the column as it is, so that Parquet row groups outside are skipped.
    """
    type_ = columns.types[name]
    bare = type_ in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE")
    column = quoted(name) if bare else columns.utc(name)
    cast = "timestamptz" if bare and "ZONE" in type_ else "timestamp"
    bounds = ((">=", start), ("<=", end))
    conditions = [
        f"{column} {operator} cast({timestamp(bound)} as {cast})"
        for operator, bound in bounds
        if bound is not None
    ]
    return " and ".join(conditions) or "true"
