"""Retrieval jobs in Spark: plans, computed when they are asked for."""

import uuid
from typing import TYPE_CHECKING

import duckdb
import pyarrow
import pyarrow.compute
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from martfeast.files import remove
from martfeast.offline_store.asked import Asked
from martfeast.offline_store.columns import OfflineDataError
from martfeast.offline_store.frames import first_line, printable
from martfeast.offline_store.jobs import ExactJob, TrainingSetJob, persist, saved_path
from martfeast.offline_store.spark_session import OwnSession
from martfeast.offline_store.spark_source import as_given, in_spark, spark_arrow
from martfeast.offline_store.spark_spine import SparkSpine
from martfeast.offline_store.spark_view import SparkView

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkRowsJob(ExactJob):
    """Rows of a source, of these columns and Arrow types."""

    def __init__(
        self, own: OwnSession, config: RepoConfig, rows: "DataFrame", schema: pyarrow.Schema
    ) -> None:
        self._own = own
        self._config = config
        self._rows = rows
        self._schema = schema

    def to_spark_df(self) -> "DataFrame":
        """Return the rows as a DataFrame of the session that runs, without computing them."""
        with self._own.active():
            return self._own.to_users(self._plan())

    def _plan(self) -> "DataFrame":
        shown = map(in_spark, self._rows.columns, self._schema.types)
        return self._rows.selectExpr(*shown).toDF(*self._schema.names)

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        with self._own.active():
            table = self._rows.toArrow()
        columns = [
            as_given(column, field.type)
            for column, field in zip(table.columns, self._schema, strict=True)
        ]
        return pyarrow.Table.from_arrays(columns, names=self._schema.names)

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Let Spark write the rows to a folder of Parquet files, which appears in one rename."""
        with self._own.active():
            persist_folder(self._config, self._plan(), storage, allow_overwrite)


class SparkRetrievalJob(TrainingSetJob):
    """A training set in Spark, computed when it is asked for."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        own: OwnSession,
        config: RepoConfig,
        spine: SparkSpine,
        asked: Asked,
        views: list[SparkView],
    ) -> None:
        super().__init__(asked, spine.frame, spine.first, spine.last)
        self._connection = connection
        self._own = own
        self._config = config
        self._spine = spine
        self._views = views

    def to_spark_df(self) -> "DataFrame":
        """Return the training set as a DataFrame of the session that runs, without computing it.

        Its rows are in the order of the entity rows. Unsigned integers are wider signed ones.

        Raises:
            OfflineDataError: on-demand features are asked for, which need the whole set; or Spark
                has no type for a column.

        """
        if self._asked.on_demand_feature_views:
            raise OfflineDataError(
                "On-demand features are computed on the whole set. Use to_arrow or to_df."
            )
        with self._own.active():
            return self._own.to_users(self._plan())

    def _plan(self) -> "DataFrame":
        """Return the training set as a plan in the store's own session."""
        rows = self._spine.rows if self._frame.table is None else self._with_columns()
        joined = self._joined(rows).sort(*self._spine.order)
        columns = [f"c{number}" for number in range(len(self._frame.columns.types))]
        outputs = [name for view in self._views for name in view.outputs]
        own = self._spine.types or [pyarrow.null()] * len(columns)  # of rows in memory: Spark's
        types = own + [one for view in self._views for one in view.feature_types]
        shown = map(in_spark, [*columns, *outputs], types)
        return joined.selectExpr(*shown).toDF(*self._names)

    def _joined(self, rows: "DataFrame") -> "DataFrame":
        """Return the rows of a spine with the features of all views."""
        for view in self._views:
            first, last = view.view.start(self._spine.first), self._spine.last
            by_created = self._asked.by_created and view.view.source.created is not None
            rows = view.beside(rows, view.facts(first, last, by_created))
        return rows

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        table = self._frame.table
        columns = [] if table is None else table.columns
        count = 0 if table is not None else len(self._frame.columns.types)
        carried = [f"c{number}" for number in range(count)]
        outputs = [name for view in self._views for name in view.outputs]
        with self._own.active():
            selected = [*self._spine.order, *carried, *outputs]
            found = self._joined(self._spine.rows).select(*selected).toArrow()
        order = [(name, "ascending") for name in self._spine.order]
        found = found.take(pyarrow.compute.sort_indices(found, sort_keys=order))
        types = [
            *self._spine.types,
            *(type_ for view in self._views for type_ in view.feature_types),
        ]
        columns = columns + [
            as_given(found[name], type_)
            for name, type_ in zip([*carried, *outputs], types, strict=True)
        ]
        return pyarrow.Table.from_arrays(columns, names=self._names)

    def _with_columns(self) -> "DataFrame":
        """Return the spine of rows in memory with their columns, called c0, c1 ..."""
        table = self._frame.arrow(self._connection)
        arrays, names = [pyarrow.array(range(table.num_rows), pyarrow.int64())], ["p0"]
        for number, name in enumerate(table.column_names):
            arrays.append(self._for_spark(table.column(number), name))
            names.append(f"c{number}")
        columns = self._own.session.createDataFrame(pyarrow.table(arrays, names=names))
        return self._spine.rows.join(columns, "p0")

    def _for_spark(self, column: pyarrow.ChunkedArray, name: str) -> pyarrow.ChunkedArray:
        """Return a column of the frame as Spark can have it."""
        type_ = column.type
        if pyarrow.types.is_timestamp(type_):  # nanoseconds too, if they lose nothing
            target = pyarrow.timestamp("us", "UTC" if type_.tz else None)
        else:
            target = spark_arrow(type_)
        try:
            new = column.cast(target)
            self._own.session.createDataFrame(pyarrow.table([new.slice(0, 0)], names=["c"]))
        except Exception as error:  # whatever Arrow and Spark raise
            raise OfflineDataError(
                f"The entity rows: column {printable(name)} of type {type_} has no form in Spark:"
                f" {first_line(error)}. Take the rows with to_arrow, or convert it."
            ) from error
        return new

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Write the training set to Parquet, which appears in one rename.

        If the entity rows are in Spark, Spark writes a folder, and no rows pass through this
        process. If they are in memory, so is the set, and it becomes a file.
        """
        self._check_cases()
        if self._frame.table is None and not self._asked.on_demand_feature_views:
            with self._own.active():
                persist_folder(self._config, self._plan(), storage, allow_overwrite)
            return
        self._connection.register("whole", self.to_arrow())
        persist(self._connection, self._config, "from whole", storage, allow_overwrite)


def persist_folder(
    config: RepoConfig,
    rows: "DataFrame",
    storage: SavedDatasetStorage,
    allow_overwrite: bool,
) -> None:
    """Let Spark write rows to a saved dataset, a folder of Parquet files, in one rename.

    The folder is on a disk that Spark's executors share with this process.

    Raises:
        SavedDatasetLocationAlreadyExists: there is one, and it must not be overwritten.

    """
    path = saved_path(config, storage, allow_overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    new, old = (path.with_name(f".{path.name}.{uuid.uuid4().hex}") for _ in range(2))
    try:
        rows.write.option("compression", "zstd").parquet(str(new))
        if path.exists():
            path.rename(old)
        new.rename(path)
    finally:
        remove(new)
        remove(old)
