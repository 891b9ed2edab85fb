"""Retrieval jobs: queries over a DuckDB of their own, computed when first asked for."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from martfeast.engines.duckdb import copy_to_parquet, quoted
from martfeast.offline_store.asked import Asked
from martfeast.offline_store.columns import OfflineDataError
from martfeast.offline_store.entity_rows import EntityFrame, Spine
from martfeast.offline_store.frames import first_line, printable
from martfeast.offline_store.joined_view import JoinedView
from martfeast.offline_store.source import local_path

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


class ExactJob(RetrievalJob):
    """A job whose rows come as Arrow has them, and as pandas without a change."""

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return to_pandas(self._to_arrow_internal(timeout))

    def to_df(self, validation_reference: Any = None, timeout: int | None = None) -> pd.DataFrame:
        """Return the rows as pandas; integers and booleans with gaps stay what they are."""
        return to_pandas(self.to_arrow(validation_reference=validation_reference, timeout=timeout))

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


class TrainingSetJob(ExactJob):
    """A job that joins what is asked for to entity rows, whose frame it has."""

    def __init__(
        self, asked: Asked, frame: EntityFrame, first: datetime | None, last: datetime | None
    ) -> None:
        self._asked = asked
        self._frame = frame
        self._moments = (first, last)

    @property
    def _names(self) -> list[str]:
        outputs = [name for view in self._asked.views for name in view.outputs]
        return [*self._frame.columns.types, *outputs]

    def _check_cases(self) -> None:
        """Raise OfflineDataError if two columns have names that a Parquet file cannot both have."""
        taken: dict[str, str] = {}
        for name in self._names:
            if (other := taken.setdefault(name.lower(), name)) != name:
                raise OfflineDataError(
                    f"The columns {other} and {name} differ only by case, and a saved data set"
                    " cannot have both. Rename one of them."
                )

    @property
    def full_feature_names(self) -> bool:
        """Whether features are called ``view__feature``."""
        return self._asked.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The on-demand feature views that are computed on top."""
        return self._asked.on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for, and the range of its moments."""
        first, last = self._moments
        return RetrievalMetadata(
            features=self._asked.feature_refs,
            keys=[name for name in self._frame.columns.types if name != self._frame.timestamp],
            min_event_timestamp=first,
            max_event_timestamp=last,
        )


class QueryJob(ExactJob):
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


class AsofRetrievalJob(TrainingSetJob, QueryJob):
    """A training set, computed when it is first asked for; it holds a DuckDB until it goes."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        config: RepoConfig,
        spine: Spine,
        asked: Asked,
    ) -> None:
        QueryJob.__init__(self, connection, config, sql="")
        TrainingSetJob.__init__(self, asked, spine.frame, spine.first, spine.last)
        self._is_matched = False
        self._spine = spine

    def _matches(self, view: JoinedView) -> str:
        return view.matches(self._connection, self._spine, self._asked.by_created)

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        columns = self._spine.frame.arrow(self._connection).columns
        for view in self._asked.views:
            columns += self._connection.sql(self._matches(view)).to_arrow_table().columns
        return pyarrow.Table.from_arrays(columns, names=self._names)

    def to_sql(self) -> str:
        """Return SQL of the training set; its columns are called n0, n1 ... by position.

        The matches are written to tables first, which it lays beside the entity rows.
        """
        tables = ["entity_frame"]
        columns = [f"c{number}" for number in range(len(self._spine.frame.columns.types))]
        for view in self._asked.views:
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
        if self._asked.on_demand_feature_views:
            raise OfflineDataError("On-demand features cannot be streamed. Use to_arrow or to_df.")
        reader = self._connection.sql(self.to_sql()).to_arrow_reader(rows_per_batch)
        for batch in reader:
            yield pyarrow.RecordBatch.from_arrays(batch.columns, names=self._names)

    def _named_sql(self) -> str:
        """Return the query; a Parquet file that DuckDB writes has no names that differ by case."""
        self._check_cases()
        if self._asked.on_demand_feature_views:
            self._connection.register("whole", self.to_arrow())
            return "from whole"
        columns = ", ".join(f"n{index} as {quoted(name)}" for index, name in enumerate(self._names))
        return f"select {columns} from ({self.to_sql()})"


def to_pandas(table: pyarrow.Table) -> pd.DataFrame:
    """Return a table as pandas; integers and booleans with nulls become pandas' nullable types.

    Raises:
        OfflineDataError: pandas has no form for a column.

    """
    gaps = [
        number
        for number, column in enumerate(table.columns)
        if column.null_count and column.type in NULLABLE
    ]
    whole = [number for number in range(table.num_columns) if number not in gaps]
    try:
        frame: pd.DataFrame = table.select(whole).to_pandas()
    except Exception as error:  # whatever pandas raises
        name = next(number for number in whole if not _is_for_pandas(table.select([number])))
        column = f"Column {printable(table.column_names[name])} of type {table.schema.types[name]}"
        raise OfflineDataError(
            f"{column} has no form in pandas: {first_line(error)}. Take the rows with to_arrow, or"
            " convert it."
        ) from error
    for number in gaps:
        series = table.column(number).to_pandas(types_mapper=NULLABLE.get)
        frame.insert(number, table.column_names[number], series)
    return frame


def _is_for_pandas(table: pyarrow.Table) -> bool:
    try:
        table.to_pandas()
    except Exception:  # whatever pandas raises
        return False
    return True


def saved_path(config: RepoConfig, storage: SavedDatasetStorage, allow_overwrite: bool) -> Path:
    """Return where a saved dataset is to be, absolute.

    Raises:
        SavedDatasetLocationAlreadyExists: there is one, and it must not be overwritten.

    """
    source = storage.to_data_source()
    assert isinstance(source, FileSource)
    path = local_path(config, source.path)
    if path.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(location=str(path))
    return path


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
    path = saved_path(config, storage, allow_overwrite)
    if path.suffix == ".parquet" and not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        copy_to_parquet(connection, sql, path)
        return
    path.mkdir(parents=True, exist_ok=True)
    old = list(path.glob("**/*.parquet"))
    copy_to_parquet(connection, sql, path / f"{uuid.uuid4().hex}.parquet")
    for file in old:
        file.unlink()
