"""A Feast offline store on Spark, for training sets that outgrow one machine.

Named in feature_store.yaml::

    offline_store:
      type: martfeast.offline_store.SparkAsofOfflineStore
      spark_conf:                           # optional: of a session that has to be started
        spark.master: local[*]

It reads the same files as ``DuckDBAsofOfflineStore`` and gives the same answers, by Spark's ASOF
JOIN, or by a window where Spark is older than 4.3. DuckDB looks at the files' columns, and at
entity rows that are in memory; of feature views it reads no rows, but for times that are text.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pyarrow
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import RepoConfig
from feast.utils import compute_non_entity_date_range

from martfeast.engines.duckdb import literal
from martfeast.offline_store.asked import Asked
from martfeast.offline_store.parquet_store import ParquetOfflineStore, ParquetOfflineStoreConfig
from martfeast.offline_store.source import connect, open_columns
from martfeast.offline_store.spark_jobs import SparkRetrievalJob, SparkRowsJob
from martfeast.offline_store.spark_session import OwnSession
from martfeast.offline_store.spark_source import ROW, SparkSource
from martfeast.offline_store.spark_spine import open_spine, spine_from_views
from martfeast.offline_store.spark_view import SparkView

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkAsofOfflineStoreConfig(ParquetOfflineStoreConfig):
    """Settings of the store.

    spark_conf: settings of the Spark session, by Spark's names. If one runs already, those that can
    be set in a running session hold for this store's part of it.
    """

    type: Literal["martfeast.offline_store.SparkAsofOfflineStore"] = (
        "martfeast.offline_store.SparkAsofOfflineStore"
    )
    spark_conf: dict[str, str] | None = None


class SparkAsofOfflineStore(ParquetOfflineStore):
    """Point-in-time joins, materialization and saved datasets over Parquet, by Spark.

    Its answers are those of ``DuckDBAsofOfflineStore``, whose promises it keeps. It works in a
    session of its own beside the one that runs, whose settings, views and time zone are neither
    used nor changed.
    """

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: "pd.DataFrame | pyarrow.Table | DataFrame | str | Path | None",
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        filter_by_created_timestamp: bool = False,
    ) -> SparkRetrievalJob:
        """Return a job that joins features to entity rows, each as of the row's moment.

        Args:
            config: of the feature store.
            feature_views: the views that the features are of.
            feature_refs: the features, as ``view:feature``.
            entity_df: one row per entity keys and moment, as pandas, as Arrow, as a Spark
                DataFrame, as the path of a Parquet file or folder, or as a query that the session
                runs. The moment is the column ``event_timestamp``, or else the only time column;
                without zone it is UTC. If None, there is a row for each key and timestamp that the
                views have from start_date to end_date; their keys are the same.
            registry: of the feature store.
            project: the Feast project.
            full_feature_names: whether features are called ``view__feature``.
            start_date: for retrieval without entity_df; by default, the longest TTL before the end.
            end_date: for retrieval without entity_df; by default, now.
            filter_by_created_timestamp: leave out rows created after the entity row's moment.

        Raises:
            OfflineDataError: a file, a column or the entity frame is not as it must be; no features
                have been computed then.
            DeclarationError: no Spark session can be had.
            MissingExtraError: pyspark is not installed.

        """
        own = OwnSession.beside(config.offline_store.spark_conf or {})
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
        with own.active():
            views = [
                SparkView.open(connection, own, view, number)
                for number, view in enumerate(asked.views)
            ]
            if entity_df is None:
                dates = compute_non_entity_date_range(feature_views, start_date, end_date)
                spine = spine_from_views(connection, views, *dates)
            else:
                spine = open_spine(connection, own, config, entity_df, views)
        return SparkRetrievalJob(connection, own, config, spine, asked, views)

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
    ) -> SparkRowsJob:
        """Return a job for the latest row of each key in a time range, both ends included."""
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        names = [*join_key_columns, *feature_name_columns, *times]
        range_ = (start_date, end_date)
        order = [*times, *feature_name_columns]
        return _rows(config, data_source, names, times, range_, join_key_columns, order)

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
    ) -> SparkRowsJob:
        """Return a job for all rows in a time range, both ends included, in the source's order."""
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        names = [*join_key_columns, *feature_name_columns, *times]
        return _rows(config, data_source, names, times, (start_date, end_date))


def _rows(
    config: RepoConfig,
    data_source: DataSource,
    names: list[str],
    times: list[str],
    between: tuple[datetime | None, datetime | None],
    latest_of: list[str] | None = None,
    order: list[str] | None = None,
) -> SparkRowsJob:
    """Return a job for some columns of a source's rows in a time range, in the source's order.

    names, times: as ``source.select_rows`` has them. latest_of: columns of which the last row is
    wanted for each key, in the order of others.
    """
    own = OwnSession.beside(config.offline_store.spark_conf or {})
    connection = connect(config)
    source, columns = open_columns(connection, config, data_source, names, times)
    with own.active():
        what = f"source '{data_source.name}'"
        read = SparkSource.open(connection, own.session, source, columns, what)
        rows = read.in_range(times[0], *between)
        if latest_of is not None and order is not None:
            keys = [read.sql(name) for name in latest_of if name != DUMMY_ENTITY_ID]
            by = [read.micros(name) if name in times else read.rank(name) for name in order]
            partition = f"partition by {', '.join(keys)}" if keys else ""
            last = f"lead(1) over ({partition} order by {', '.join(by)}) is null as is_last"
            rows = rows.selectExpr("*", last).where("is_last")
        # Times that are text or dates come as timestamps.
        dated = {name for name in times if not source.columns.types[name].startswith("TIMESTAMP")}
        fields, selected = list(read.schema), [read.sql(name) for name in columns]
        for number, name in enumerate(columns):
            if name in dated:
                moment = f"cast(timestamp_micros({read.micros(name)}) as timestamp_ntz)"
                selected[number] = f"{moment} as c{number}"
                fields[number] = pyarrow.field(name, pyarrow.timestamp("us"))
        if DUMMY_ENTITY_ID in names:
            selected.insert(0, f"{literal(DUMMY_ENTITY_VAL)} as dummy")
            fields.insert(0, pyarrow.field(DUMMY_ENTITY_ID, pyarrow.string()))
        rows = rows.sort(*ROW).selectExpr(*selected)
    return SparkRowsJob(own, config, rows, pyarrow.schema(fields))
