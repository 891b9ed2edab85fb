"""What the offline stores over Parquet share: settings, and rows added."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.infra.offline_stores.offline_store import OfflineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from martfeast.engines.duckdb import copy_to_parquet, quoted
from martfeast.offline_store.columns import (
    NULL,
    OfflineDataError,
    converted,
    describe,
    inexact,
    value_where,
)
from martfeast.offline_store.frames import register
from martfeast.offline_store.source import Source, connect, local_path, open_source


class ParquetOfflineStoreConfig(FeastConfigBaseModel):
    """Settings of DuckDB, which both stores look at data with, and one joins it with.

    memory_limit, threads: as DuckDB has them, for each retrieval, and for its SQL while that runs;
    its defaults unless set.
    spill_directory: where what outgrows memory goes, relative to the feature repo; a folder of its
    own unless set.
    """

    memory_limit: str | None = None
    threads: int | None = None
    spill_directory: str | None = None


class ParquetOfflineStore(OfflineStore):
    """Rows that are added to the Parquet files of feature views, and of logged features."""

    supports_filter_by_created_timestamp = True

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
