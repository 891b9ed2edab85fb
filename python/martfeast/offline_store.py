"""A Feast offline store on DuckDB whose point-in-time join is DuckDB's ASOF JOIN.

Named in feature_store.yaml::

    offline_store:
      type: martfeast.offline_store.DuckDBAsofOfflineStore
      warehouse: ../data/warehouse.duckdb   # optional: entity frames as SQL over it
      memory_limit: 2GB                     # optional, as are the next two
      threads: 2
      spill_directory: /tmp/spill

How a training set is made: keys and moments of the entity rows become a table; their other columns
stay aside until the end. Each feature view is matched to that table by ASOF JOIN, which carries the
features asked for and nothing else, and gives them back in the order of the entity rows. A view of
long history, of which few rows are wanted, is searched instead: first the latest time for each
entity row, then the features at those times. The matches are laid side by side, so that the cost of
many views adds up and does not multiply. What outgrows memory spills.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow
import pyarrow.parquet
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.offline_stores.file_source import FileLoggingDestination, FileSource
from feast.infra.offline_stores.offline_store import (
    OfflineStore,
    RetrievalJob,
    RetrievalMetadata,
)
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.saved_dataset import SavedDatasetStorage
from feast.utils import (
    _get_requested_feature_views_to_features_dict,
    _get_requested_on_demand_feature_views,
    compute_non_entity_date_range,
)

from martfeast.duckdb_sql import literal, parquet_path, parquet_rows, quoted, timestamp

EVENT_TIMESTAMP = "event_timestamp"
# A search compares every feature row with every entity row of its key, and an ASOF JOIN sorts all
# feature rows: benchmarks/offline_store.py measures both plans around this number of entity rows.
FEW_ROWS_OF_A_KEY = 32

INTEGERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
}
NULLABLE = {
    pyarrow.int8(): pd.Int8Dtype(),
    pyarrow.int16(): pd.Int16Dtype(),
    pyarrow.int32(): pd.Int32Dtype(),
    pyarrow.int64(): pd.Int64Dtype(),
    pyarrow.uint8(): pd.UInt8Dtype(),
    pyarrow.uint16(): pd.UInt16Dtype(),
    pyarrow.uint32(): pd.UInt32Dtype(),
    pyarrow.uint64(): pd.UInt64Dtype(),
    pyarrow.bool_(): pd.BooleanDtype(),
}


class OfflineDataError(Exception):
    """Data that cannot be read as asked: which view or frame, what is wrong, and the next step."""


class DuckDBAsofOfflineStoreConfig(FeastConfigBaseModel):
    """Settings of the store; paths are relative to the feature repo.

    warehouse: a DuckDB file that entity frames given as SQL are run over, opened read-only.
    memory_limit, threads: as DuckDB has them, for each retrieval; its defaults unless set.
    spill_directory: where what outgrows memory goes; a folder of its own unless set.
    """

    type: Literal["martfeast.offline_store.DuckDBAsofOfflineStore"] = (
        "martfeast.offline_store.DuckDBAsofOfflineStore"
    )
    warehouse: str | None = None
    memory_limit: str | None = None
    threads: int | None = None
    spill_directory: str | None = None


def interval(value: timedelta) -> str:
    """Return a duration as an SQL literal, to the microsecond."""
    return f"to_microseconds({value // timedelta(microseconds=1)})"


def connect(config: RepoConfig) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB of its own, in UTC, with the store's settings."""
    settings = config.offline_store
    repo = Path(config.repo_path or ".")
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    spill = repo / (settings.spill_directory or tempfile.gettempdir())
    spill.mkdir(parents=True, exist_ok=True)
    # A folder for each connection: two that share one would take each other's files.
    folder = spill / f"martfeast-spill-{uuid.uuid4().hex}"
    connection.execute(f"set temp_directory = {literal(str(folder))}")
    if settings.memory_limit:
        connection.execute(f"set memory_limit = {literal(settings.memory_limit)}")
    if settings.threads:
        connection.execute(f"set threads = {int(settings.threads)}")
    return connection


@dataclass(frozen=True)
class Columns:
    """The columns of a relation: their DuckDB types, by name."""

    types: dict[str, str]

    def utc(self, name: str) -> str:
        """Return SQL of a time column as TIMESTAMP in UTC, microseconds; null stays null."""
        type_ = self.types[name]
        column = quoted(name)
        if type_ == "TIMESTAMP":
            return column
        # The session is in UTC, so these casts are exact. DuckDB calls zoned types by two names.
        if "ZONE" in type_ or "TZ" in type_:
            # Times six faster than a cast, which is left for infinity.
            zoned = f"cast({column} as timestamptz)"
            return f"coalesce(make_timestamp(epoch_us({zoned})), cast({zoned} as timestamp))"
        return f"cast({column} as timestamp)"

    def require(self, names: list[str], what: str, where: str) -> None:
        """Raise OfflineDataError naming the columns that are not there."""
        missing = [name for name in names if name not in self.types]
        if missing:
            raise OfflineDataError(
                f"{what}: {where} has no column {', '.join(missing)}. It has:"
                f" {', '.join(self.types)}. Correct the declaration or the data."
            )


def describe(connection: duckdb.DuckDBPyConnection, relation: str) -> Columns:
    """Return the columns of a relation, given as SQL after FROM."""
    rows = connection.execute(f"describe from {relation}").fetchall()
    return Columns({str(row[0]): str(row[1]) for row in rows})


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
        OfflineDataError: it is not Parquet on this machine, or cannot be read.

    """
    if not isinstance(source, FileSource) or not isinstance(
        source.file_format or ParquetFormat(), ParquetFormat
    ):
        raise OfflineDataError(f"{what}: {type(source).__name__} is not a Parquet FileSource.")
    path = local_path(config, source.path)
    files = parquet_path(path)
    relation = f"read_parquet({files}, union_by_name = true)"
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


class DuckDBAsofOfflineStore(OfflineStore):
    """Point-in-time joins, materialization and saved datasets over Parquet, by DuckDB.

    Every retrieval gives exactly one row per entity row, in the order of the entity rows. A feature
    row counts from its timestamp on, that moment included, until its timestamp plus the view's TTL,
    included. Of rows with one key and timestamp the one created last counts; if those are equal as
    well, the one whose features sort last. A key or moment that is null finds nothing. Times are
    exact to the microsecond.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: "pd.DataFrame | pyarrow.Table | str | Path | None",
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """Return a job that joins features to entity rows, each as of the row's moment.

        Args:
            config: of the feature store.
            feature_views: the views that the features are of.
            feature_refs: the features, as ``view:feature``.
            entity_df: one row per entity keys and moment, as pandas, as Arrow, as the path of a
                Parquet file, or as an SQL query over the configured warehouse. The moment is the
                column ``event_timestamp``, or else the only time column; without zone it is UTC.
                If None, there is a row for each key and timestamp that the views have from
                start_date to end_date; they must have the same keys.
            registry: of the feature store.
            project: the Feast project.
            full_feature_names: whether features are called ``view__feature``.
            start_date: for retrieval without entity_df; by default, the longest TTL before the end.
            end_date: for retrieval without entity_df; by default, now.
            filter_by_created_timestamp: leave out rows created after the entity row's moment.

        Raises:
            OfflineDataError: a file, a column or the entity frame is not as it must be; nothing has
                been computed then.

        """
        connection = connect(config)
        requested = _get_requested_feature_views_to_features_dict(
            feature_refs,
            feature_views,
            _get_requested_on_demand_feature_views(feature_refs, project, registry),
        )[0]
        views = [
            JoinedView.open(connection, config, view, features, full_feature_names, index)
            for index, (view, features) in enumerate(requested.items())
        ]
        if entity_df is None:
            start, end = compute_non_entity_date_range(
                feature_views, start_date=start_date, end_date=end_date
            )
            frame = frame_from_views(connection, views, start, end)
        else:
            frame = open_frame(connection, config, entity_df)
        for view in views:
            view.check(frame)
        check_names_are_unique(list(frame.columns.types), views)
        demanded = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        return AsofRetrievalJob(
            connection=connection,
            config=config,
            spine=Spine.of(connection, frame, views),
            views=views,
            by_created=filter_by_created_timestamp,
            feature_refs=feature_refs,
            on_demand_feature_views=demanded,
            full_feature_names=full_feature_names,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return a job for the latest row of each key in a time range, both ends included."""
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        keys = [key for key in join_key_columns if key != DUMMY_ENTITY_ID]
        names = [*join_key_columns, *feature_name_columns, *times]
        connection, rows = select_rows(
            config, data_source, names, timestamp_field, start_date, end_date
        )
        order = [*map(quoted, times + feature_name_columns)]
        return QueryJob(connection, config, latest(rows, [*map(quoted, keys)], order))

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return a job for all rows in a time range, both ends included, in the source's order."""
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        names = [*join_key_columns, *feature_name_columns, *times]
        connection, rows = select_rows(
            config, data_source, names, timestamp_field, start_date, end_date
        )
        return QueryJob(connection, config, rows)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pyarrow.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to a view's source: to its file, in one rename, or to its folder as a file.

        Raises:
            OfflineDataError: the columns are not those of the source; nothing was written.

        """
        what = f"feature view '{feature_view.name}'"
        with connect(config) as connection:
            source = open_source(connection, config, feature_view.batch_source, what)
            if list(source.columns.types) != table.column_names:
                raise OfflineDataError(
                    f"{what}: the rows have the columns {', '.join(table.column_names)}, and the"
                    f" source has {', '.join(source.columns.types)}. Give them these, in order."
                )
            casts = ", ".join(
                f"cast({quoted(name)} as {type_}) as {quoted(name)}"
                for name, type_ in source.columns.types.items()
            )
            connection.register("new_rows", table)
            rows = f"select {casts} from new_rows"
            if source.path.is_dir():
                copy_to_parquet(connection, rows, source.path / f"{uuid.uuid4().hex}.parquet")
            else:
                old = f"select * from {source.relation}"
                copy_to_parquet(connection, f"{old} union all {rows}", source.path)
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: "pyarrow.Table | Path",
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Add logged features, a table or a folder of Parquet files, to a file destination."""
        destination = logging_config.destination
        assert isinstance(destination, FileLoggingDestination)
        table = pyarrow.parquet.read_table(data) if isinstance(data, Path) else data
        pyarrow.parquet.write_to_dataset(
            table,
            root_path=local_path(config, destination.path),
            partition_cols=destination.partition_by,
            basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
        )


def select_rows(
    config: RepoConfig,
    data_source: DataSource,
    names: list[str],
    timestamp_field: str,
    start: datetime | None,
    end: datetime | None,
) -> tuple[duckdb.DuckDBPyConnection, str]:
    """Return a connection, and SQL over it of some columns of a source's rows in a time range.

    The key that Feast invents for views without entities comes first, with its one value.
    """
    connection = connect(config)
    what = f"source '{data_source.name}'"
    source = open_source(connection, config, data_source, what)
    columns = [name for name in dict.fromkeys(names) if name != DUMMY_ENTITY_ID]
    source.columns.require(columns, what, "its data")
    selected = list(map(quoted, columns))
    if DUMMY_ENTITY_ID in names:
        selected.insert(0, f"{literal(DUMMY_ENTITY_VAL)} as {quoted(DUMMY_ENTITY_ID)}")
    condition = in_range(source.columns, timestamp_field, start, end)
    return connection, f"select {', '.join(selected)} from {source.relation} where {condition}"


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
        connection: duckdb.DuckDBPyConnection, frame: EntityFrame, views: "list[JoinedView]"
    ) -> "Spine":
        """Create the table entity_rows of a frame, with what these views are looked up by."""
        at = frame.sql(frame.timestamp)
        moment = Columns({at: frame.columns.types[frame.timestamp]}).utc(at)
        by_view = [view.entity_keys(frame) for view in views]
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


def frame_from_views(
    connection: duckdb.DuckDBPyConnection,
    views: "list[JoinedView]",
    start: datetime,
    end: datetime,
) -> EntityFrame:
    """Return entity rows of every key and timestamp that the views have in a range."""
    keys = [sorted(view.keys.values()) for view in views]
    if any(other != keys[0] for other in keys):
        listed = "; ".join(f"{v.name}: {', '.join(k)}" for v, k in zip(views, keys, strict=True))
        raise OfflineDataError(
            f"Without an entity frame all views must have the same keys, and they have {listed}."
            " Ask for them one by one, or give an entity frame."
        )
    selects = []
    for view in views:
        source = view.source
        columns = [f"{source.columns.utc(source.timestamp)} at time zone 'UTC' as c0"]
        by_entity = sorted(view.keys, key=view.keys.__getitem__)
        columns += [f"{quoted(source.column(key))} as c{n}" for n, key in enumerate(by_entity, 1)]
        condition = in_range(source.columns, source.timestamp, start, end)
        selects.append(f"select {', '.join(columns)} from {source.relation} where {condition}")
    connection.execute(
        f"create temp table entity_frame as select distinct *"
        f" from ({' union all '.join(selects)}) order by all"
    )
    return EntityFrame.of(connection, [EVENT_TIMESTAMP, *keys[0]])


def check_names_are_unique(names: list[str], views: "list[JoinedView]") -> None:
    """Raise OfflineDataError if two columns of the result would have one name."""
    taken = dict.fromkeys(names, "a column of the entity frame")
    for view in views:
        for name in view.outputs:
            if name in taken:
                raise OfflineDataError(
                    f"{name} is {taken[name]} and a feature of '{view.name}'. Rename one of them,"
                    " or ask with full_feature_names=True."
                )
            taken[name] = f"a feature of '{view.name}'"


@dataclass(frozen=True)
class JoinedView:
    """One feature view of a retrieval.

    keys: the entity column for each join key. features: the columns in the data, in order.
    outputs: what they are called in the result. table: what the view is called in SQL.
    """

    name: str
    source: Source
    keys: dict[str, str]
    features: list[str]
    outputs: list[str]
    ttl: timedelta | None
    table: str

    @staticmethod
    def open(
        connection: duckdb.DuckDBPyConnection,
        config: RepoConfig,
        view: FeatureView,
        features: list[str],
        full_feature_names: bool,
        index: int,
    ) -> "JoinedView":
        """Look at a view's source, and see that it has what is asked of it."""
        what = f"Feature view '{view.name}'"
        source = open_source(connection, config, view.batch_source, what)
        aliases = view.projection.join_key_map or {}
        names = [c.name for c in view.entity_columns if c.name != DUMMY_ENTITY_ID]
        prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
        joined = JoinedView(
            name=view.name,
            source=source,
            keys={name: aliases.get(name, name) for name in names},
            features=[source.column(name) for name in features],
            outputs=[f"{prefix}{name}" for name in features],
            ttl=view.ttl or None,
            table=f"view_{index}",
        )
        times = [source.timestamp, *filter(None, [source.created])]
        needed = [*map(source.column, names), *joined.features, *times]
        source.columns.require(needed, what, str(source.path))
        return joined

    def check(self, frame: EntityFrame) -> None:
        """Raise OfflineDataError if the entity frame lacks a key of this view."""
        missing = [name for name in self.keys.values() if name not in frame.columns.types]
        if missing:
            raise OfflineDataError(
                f"The entity frame has no column {', '.join(missing)}, which feature view"
                f" '{self.name}' is looked up by. It has: {', '.join(frame.columns.types)}."
            )

    @property
    def numbers(self) -> list[str]:
        """What the features are called in SQL."""
        return [f"f{number}" for number in range(len(self.features))]

    def matches(self, connection: duckdb.DuckDBPyConnection, spine: Spine, by_created: bool) -> str:
        """Return SQL of the features f0, f1 ... for each entity row, in the frame's order.

        What has to be looked up first is looked up now.
        """
        by_created = by_created and self.source.created is not None
        if not by_created and self.is_searched(connection, spine):
            return self.search(connection, spine)
        keys = enumerate(self.entity_keys(spine.frame))
        conditions = [f"entity_rows.{key} = facts.k{number}" for number, key in keys]
        conditions.append(f"moment >= facts.{'usable' if by_created else 'ts'}")
        selected = ", ".join(self.numbers)
        if self.ttl:
            alive = f"moment <= ts + {interval(self.ttl)}"
            selected = ", ".join(f"case when {alive} then {f} end as {f}" for f in self.numbers)
        return (
            f"select {selected} from entity_rows"
            f" asof left join ({self.facts(connection, spine, by_created)}) as facts"
            f" on {' and '.join(conditions)} order by position"
        )

    def is_searched(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> bool:
        """Tell whether to search the view's rows, and not to sort them for an ASOF JOIN."""
        if spine.row_count >= self.source.row_count:
            return False
        keys = ", ".join(self.entity_keys(spine.frame)) or "true"
        sql = f"select max(n) from (select count(*) as n from entity_rows group by {keys})"
        return (connection.execute(sql).fetchall()[0][0] or 0) <= FEW_ROWS_OF_A_KEY

    def entity_keys(self, frame: EntityFrame) -> dict[str, str]:
        """Return what the table entity_rows has for each key: the column, and SQL of it.

        Integers are of the view's type there: DuckDB would compare two types as a third, slowly.
        """
        found = {}
        for key, name in self.keys.items():
            column, type_ = frame.sql(name), self.source.columns.types[self.source.column(key)]
            if type_ != frame.columns.types[name] and {type_, frame.columns.types[name]} < INTEGERS:
                found[f"{column}_{type_}"] = f"try_cast({column} as {type_})"
            else:
                found[column] = column
        return found

    def search(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> str:
        """Return SQL of the matches, found without sorting the view's rows.

        The latest time of each entity row comes first, so that only keys and times are compared;
        then the rows at those times are fetched. If some are tied, the ties are broken then.
        """
        keys = self.entity_keys(spine.frame)
        conditions = [f"entity_rows.{key} = k{number}" for number, key in enumerate(keys)]
        conditions.append("moment >= ts")
        if self.ttl:
            conditions.append(f"moment <= ts + {interval(self.ttl)}")
        grouped = ", ".join(["position", *keys])
        (found,) = connection.execute(
            f"create or replace temp table times as select {grouped}, max(ts) as ts"
            f" from entity_rows join ({self.rows(spine, [])}) on {' and '.join(conditions)}"
            " group by all"
        ).fetchall()[0]
        conditions = [f"times.{key} = facts.k{number}" for number, key in enumerate(keys)]
        conditions.append("times.ts = facts.ts")
        order = ["created"] * (self.source.created is not None) + self.numbers
        fetched = f"{self.table}_fetched"
        (rows,) = connection.execute(
            f"create or replace temp table {fetched} as select position, {', '.join(order)}"
            f" from times join ({self.rows(spine, self.features)}) as facts"
            f" on {' and '.join(conditions)}"
        ).fetchall()[0]
        best = f"from {fetched}"
        if rows > found:
            best = latest(best, ["position"], order)
        return (
            f"select {', '.join(self.numbers)} from entity_rows"
            f" left join ({best}) as best using (position) order by position"
        )

    def rows(self, spine: Spine, features: list[str]) -> str:
        """Return SQL of the rows that can matter: k0, k1 ..., ts, created if any, f0, f1 ..."""
        source = self.source
        selected = [f"{quoted(source.column(key))} as k{n}" for n, key in enumerate(self.keys)]
        selected.append(f"{source.columns.utc(source.timestamp)} as ts")
        if source.created:
            selected.append(f"{source.columns.utc(source.created)} as created")
        selected += [f"{quoted(name)} as f{number}" for number, name in enumerate(features)]
        start = spine.first - self.ttl if spine.first and self.ttl else None
        condition = in_range(source.columns, source.timestamp, start, spine.last)
        return f"select {', '.join(selected)} from {source.relation} where {condition}"

    def facts(self, connection: duckdb.DuckDBPyConnection, spine: Spine, by_created: bool) -> str:
        """Return SQL of the rows that may be matched by ASOF JOIN, one for each key and moment.

        by_created: rows count from their creation on, and have a column usable: from when on each
        is the best row of its key.
        """
        rows = self.rows(spine, self.features)
        keys = [f"k{number}" for number in range(len(self.keys))]
        if by_created:
            # At each moment at which a row becomes usable, the best of those usable so far.
            ordered = [f"h{f} := {f} is not null, {f} := {f}" for f in self.numbers]
            best = ", ".join(["ts := ts", "created := created", *ordered])
            partition = f"partition by {', '.join(keys)}" if keys else ""
            unpacked = ["usable", "best.ts as ts", *(f"best.{f} as {f}" for f in self.numbers)]
            return (
                f"select distinct {', '.join(keys + unpacked)} from (select *,"
                f" max(struct_pack({best})) over ({partition} order by usable) as best"
                f" from (select *, greatest(ts, created) as usable from ({rows})"
                " where created is not null))"
            )
        group = ", ".join([*keys, "ts"])
        (has_ties,) = connection.execute(
            f"select exists (select 1 from ({rows}) group by {group} having count(*) > 1)"
        ).fetchall()[0]
        if has_ties:
            order = ["created"] * (self.source.created is not None) + self.numbers
            return latest(rows, [*keys, "ts"], order)
        return rows


class QueryJob(RetrievalJob):
    """A query over a DuckDB of its own, which goes with it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, config: RepoConfig, sql: str) -> None:
        self._connection = connection
        self._config = config
        self._sql = sql

    def to_sql(self) -> str:
        """Return the query."""
        return self._sql

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        return self._connection.sql(self.to_sql()).to_arrow_table()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return to_pandas(self._to_arrow_internal(timeout))

    def to_df(self, validation_reference: Any = None, timeout: int | None = None) -> pd.DataFrame:
        """Return the rows as pandas; integers and booleans with gaps stay what they are."""
        return to_pandas(self.to_arrow(validation_reference=validation_reference, timeout=timeout))

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Write the rows to a Parquet file, without holding them in memory, in one rename."""
        persist(self._connection, self._config, self._named_sql(), storage, allow_overwrite)

    def _named_sql(self) -> str:
        """Return the query with its columns called as the user is to see them."""
        return self.to_sql()

    @property
    def full_feature_names(self) -> bool:
        """Features are called as they are."""
        return False

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """There are none."""
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """There is none."""
        return None


class AsofRetrievalJob(QueryJob):
    """A training set, computed when it is first asked for; it holds a DuckDB until it goes."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        config: RepoConfig,
        spine: Spine,
        views: list[JoinedView],
        by_created: bool,
        feature_refs: list[str],
        on_demand_feature_views: list[OnDemandFeatureView],
        full_feature_names: bool,
    ) -> None:
        super().__init__(connection, config, sql="")
        self._is_matched = False
        self._spine = spine
        self._views = views
        self._by_created = by_created
        self._feature_refs = feature_refs
        self._on_demand_feature_views = on_demand_feature_views
        self._full_feature_names = full_feature_names

    @property
    def _names(self) -> list[str]:
        outputs = [name for view in self._views for name in view.outputs]
        return [*self._spine.frame.columns.types, *outputs]

    def _matches(self, view: JoinedView) -> str:
        return view.matches(self._connection, self._spine, self._by_created)

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        columns = self._spine.frame.arrow(self._connection).columns
        for view in self._views:
            columns += self._connection.sql(self._matches(view)).to_arrow_table().columns
        return pyarrow.Table.from_arrays(columns, names=self._names)

    def to_sql(self) -> str:
        """Return SQL of the training set; its columns are called n0, n1 ... by position.

        The matches are written to tables first, which it lays beside the entity rows.
        """
        tables = ["entity_frame"]
        columns = [f"c{number}" for number in range(len(self._spine.frame.columns.types))]
        for view in self._views:
            tables.append(view.table)
            columns += [f"{view.table}.{number}" for number in view.numbers]
            if not self._is_matched:
                self._connection.execute(f"create temp table {view.table} as {self._matches(view)}")
        self._is_matched = True
        numbered = ", ".join(f"{column} as n{number}" for number, column in enumerate(columns))
        return f"select {numbered} from {' positional join '.join(tables)}"

    def to_arrow_batches(self, rows_per_batch: int = 1_000_000) -> Iterator[pyarrow.RecordBatch]:
        """Yield the training set in batches, for sets that are larger than memory.

        Raises:
            OfflineDataError: on-demand features are asked for; they need the whole set.

        """
        if self._on_demand_feature_views:
            raise OfflineDataError("On-demand features cannot be streamed. Use to_arrow or to_df.")
        reader = self._connection.sql(self.to_sql()).to_arrow_reader(rows_per_batch)
        for batch in reader:
            yield pyarrow.RecordBatch.from_arrays(batch.columns, names=self._names)

    def _named_sql(self) -> str:
        if self._on_demand_feature_views:
            self._connection.register("whole", self.to_arrow())
            return "from whole"
        columns = ", ".join(f"n{index} as {quoted(name)}" for index, name in enumerate(self._names))
        return f"select {columns} from ({self.to_sql()})"

    @property
    def full_feature_names(self) -> bool:
        """Whether features are called ``view__feature``."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The on-demand feature views that are computed on top."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for, and the range of its moments."""
        frame = self._spine.frame
        return RetrievalMetadata(
            features=self._feature_refs,
            keys=[name for name in frame.columns.types if name != frame.timestamp],
            min_event_timestamp=self._spine.first,
            max_event_timestamp=self._spine.last,
        )


def to_pandas(table: pyarrow.Table) -> pd.DataFrame:
    """Return a table as pandas; integers and booleans with nulls become pandas' nullable types."""
    gaps = [
        number
        for number, column in enumerate(table.columns)
        if column.null_count and column.type in NULLABLE
    ]
    whole = table.select([n for n in range(table.num_columns) if n not in gaps])
    frame: pd.DataFrame = whole.to_pandas()
    for number in gaps:
        series = table.column(number).to_pandas(types_mapper=NULLABLE.get)
        frame.insert(number, table.column_names[number], series)
    return frame


def persist(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    sql: str,
    storage: SavedDatasetStorage,
    allow_overwrite: bool,
) -> None:
    """Write a query's rows to a saved dataset: to its Parquet file, or to its folder as one.

    Raises:
        SavedDatasetLocationAlreadyExists: there is one, and it must not be overwritten.

    """
    source = storage.to_data_source()
    assert isinstance(source, FileSource)
    path = local_path(config, source.path)
    if path.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(location=str(path))
    if path.suffix == ".parquet" and not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        copy_to_parquet(connection, sql, path)
        return
    path.mkdir(parents=True, exist_ok=True)
    old = list(path.glob("**/*.parquet"))
    copy_to_parquet(connection, sql, path / f"{uuid.uuid4().hex}.parquet")
    for file in old:
        file.unlink()


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    """Write a query's rows to a Parquet file, which appears or changes in one rename."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        connection.execute(
            f"copy ({sql}) to {literal(str(new))} (format parquet, compression zstd)"
        )
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
