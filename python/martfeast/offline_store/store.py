"""A Feast offline store on DuckDB whose point-in-time join is DuckDB's ASOF JOIN.

Named in feature_store.yaml::

    offline_store:
      type: martfeast.offline_store.DuckDBAsofOfflineStore
      warehouse: ../data/warehouse.duckdb   # optional: entity frames as SQL over it
      readable_paths: [../data/landed]      # optional: files that this SQL may read besides
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

import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow
import pyarrow.parquet
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import (
    _get_requested_feature_views_to_features_dict,
    _get_requested_on_demand_feature_views,
    compute_non_entity_date_range,
)

from martfeast.engines.duckdb import copy_to_parquet, quoted
from martfeast.offline_store.columns import (
    NULL,
    OfflineDataError,
    converted,
    describe,
    inexact,
    value_where,
)
from martfeast.offline_store.entity_rows import Spine, open_frame
from martfeast.offline_store.frames import register
from martfeast.offline_store.jobs import AsofRetrievalJob, QueryJob
from martfeast.offline_store.joined_view import JoinedView, check_frame, frame_from_views
from martfeast.offline_store.source import (
    Source,
    connect,
    latest,
    local_path,
    open_source,
    select_rows,
)


class DuckDBAsofOfflineStoreConfig(FeastConfigBaseModel):
    """Settings of the store; paths are relative to the feature repo.

    warehouse: a DuckDB file that entity frames given as SQL are run over, opened read-only.
    readable_paths: files and folders that this SQL, and views of the warehouse in it, may read,
    besides the files of the feature views asked for; no others.
    memory_limit, threads: as DuckDB has them, for each retrieval, and for its SQL while that runs;
    its defaults unless set.
    spill_directory: where what outgrows memory goes; a folder of its own unless set.
    """

    type: Literal["martfeast.offline_store.DuckDBAsofOfflineStore"] = (
        "martfeast.offline_store.DuckDBAsofOfflineStore"
    )
    warehouse: str | None = None
    readable_paths: tuple[str, ...] = ()
    memory_limit: str | None = None
    threads: int | None = None
    spill_directory: str | None = None


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
                A query is one SELECT that writes nothing. If None, there is a row for each key and
                timestamp that the views have from start_date to end_date; their keys are the same.
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
        requested = _requested(feature_refs, feature_views, registry, project)
        views = [
            JoinedView.open(connection, config, view, features, full_feature_names, index)
            for index, (view, features) in enumerate(requested.items())
        ]
        if entity_df is None:
            dates = compute_non_entity_date_range(feature_views, start_date, end_date)
            frame = frame_from_views(connection, views, *dates)
        else:
            frame = open_frame(connection, config, entity_df, [one.source.path for one in views])
        check_frame(connection, frame, views)
        return AsofRetrievalJob(
            connection=connection,
            config=config,
            spine=Spine.of(connection, frame, [view.entity_keys(frame) for view in views]),
            views=views,
            by_created=filter_by_created_timestamp,
            feature_refs=feature_refs,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
                feature_refs, project, registry
            ),
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
        connection, rows = select_rows(config, data_source, names, times, start_date, end_date)
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
        connection, rows = select_rows(config, data_source, names, times, start_date, end_date)
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
            OfflineDataError: the columns are not those of the source, or a value is not the same in
                the source's type; nothing was written.

        """
        what = f"feature view '{feature_view.name}'"
        with connect(config) as connection:
            source = open_source(connection, config, feature_view.batch_source, what)
            if list(source.columns.types) != table.column_names:
                raise OfflineDataError(
                    f"{what}: the rows have the columns {', '.join(table.column_names)}, and the"
                    f" source has {', '.join(source.columns.types)}. Give them these, in order."
                )
            register(connection, "new_rows", table, table.column_names, what)
            rows = _exact_rows(connection, source, what)
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


def _exact_rows(connection: duckdb.DuckDBPyConnection, source: Source, what: str) -> str:
    """Return SQL of the relation new_rows in the types of a source, which lose nothing there."""
    given = describe(connection, "new_rows").types
    selected = []
    for name, target in source.columns.types.items():
        column, type_ = quoted(name), given[name]
        if type_ not in (target, NULL):
            value = value_where(connection, "new_rows", column, inexact(column, type_, target))
            if value is not None:
                raise OfflineDataError(
                    f"{what}: column {name} is {target}, and the rows have {type_} there with the"
                    f" value '{value}', which would change. Nothing was written. Convert it."
                )
        selected.append(f"{converted(column, type_, target)} as {column}")
    rows = f"select {', '.join(selected)} from new_rows"
    source.check_times(connection, f"({rows})", source.times, what)
    return rows


def _requested(
    feature_refs: list[str], feature_views: list[FeatureView], registry: BaseRegistry, project: str
) -> dict[FeatureView, list[str]]:
    """Return the features that are asked for, or that on-demand views need, by view."""
    demanded = _get_requested_on_demand_feature_views(feature_refs, project, registry)
    by_view, _ = _get_requested_feature_views_to_features_dict(
        feature_refs, feature_views, demanded
    )
    return dict(by_view)
