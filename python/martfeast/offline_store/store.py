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

from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow
import pyarrow.parquet
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import RepoConfig
from feast.utils import compute_non_entity_date_range

from martfeast.engines.duckdb import quoted
from martfeast.offline_store.asked import Asked
from martfeast.offline_store.entity_rows import Spine, open_frame
from martfeast.offline_store.jobs import AsofRetrievalJob, QueryJob
from martfeast.offline_store.joined_view import check_frame, frame_from_views
from martfeast.offline_store.parquet_store import (
    ParquetOfflineStore,
    ParquetOfflineStoreConfig,
)
from martfeast.offline_store.source import (
    connect,
    latest,
    select_rows,
)


class DuckDBAsofOfflineStoreConfig(ParquetOfflineStoreConfig):
    """Settings of the store; paths are relative to the feature repo.

    warehouse: a DuckDB file that entity frames given as SQL are run over, opened read-only.
    readable_paths: files and folders that this SQL, and views of the warehouse in it, may read,
    besides the files of the feature views asked for; no others.
    """

    type: Literal["martfeast.offline_store.DuckDBAsofOfflineStore"] = (
        "martfeast.offline_store.DuckDBAsofOfflineStore"
    )
    warehouse: str | None = None
    readable_paths: tuple[str, ...] = ()


class DuckDBAsofOfflineStore(ParquetOfflineStore):
    """Point-in-time joins, materialization and saved datasets over Parquet, by DuckDB.

    Every retrieval gives exactly one row per entity row, in the order of the entity rows. A feature
    row counts from its timestamp on, that moment included, until its timestamp plus the view's TTL,
    included. Of rows with one key and timestamp the one created last counts; if those are equal as
    well, the one whose features sort last. A key or moment that is null finds nothing. Times are
    exact to the microsecond.
    """

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
        asked = Asked.open(
            connection,
            config,
            feature_views,
            feature_refs,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
        )
        views = asked.views
        if entity_df is None:
            dates = compute_non_entity_date_range(feature_views, start_date, end_date)
            frame = frame_from_views(connection, views, *dates)
        else:
            frame = open_frame(connection, config, entity_df, [one.source.path for one in views])
        check_frame(connection, frame, views)
        spine = Spine.of(connection, frame, [view.entity_keys(frame) for view in views])
        return AsofRetrievalJob(connection, config, spine, asked)

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
