"""Spark as an engine: the tables of a target, read and written in a session of this process."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow

from martfeast.causes import Cause
from martfeast.engines.engine import Rows, renamed
from martfeast.engines.spark import spark_session
from martfeast.files import remove
from martfeast.problems import refusal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WAREHOUSE, ZONE = "spark.sql.warehouse.dir", "spark.sql.session.timeZone"
ZONED, UNZONED = "timestamp", "timestamp_ntz"
UTC_NAMES = ("UTC", "Etc/UTC", "GMT", "Z", "+00:00")


class SparkWarehouse:
    """The relations of a target of dbt-spark; see `Engine`."""

    def __init__(self, credentials: Any) -> None:
        """Open a session with the target's settings; one that runs already keeps its own."""
        settings = {
            str(name): str(value)
            for name, value in (credentials.server_side_parameters or {}).items()
        }
        self.session = spark_session(settings, hive=True)
        zone = self.session.conf.get(ZONE) or ""
        if zone not in UTC_NAMES:
            raise refusal(
                "spark",
                "session-zone",
                f"The session's time zone is {zone}, and its clock would get into every moment.",
                f"Set {ZONE}: UTC in server_side_parameters of profiles.yml.",
            )
        warehouse = self.session.conf.get(WAREHOUSE) or ""
        self.location = credentials.host if credentials.host not in (None, "NA") else warehouse

    def name(self, schema: str, table: str) -> str:
        """Return a table's name as SQL of Spark has it."""
        return ".".join("`" + part.replace("`", "``") + "`" for part in (schema, table))

    def rows(self, query: str) -> pyarrow.Table:
        """Return a query's rows; moments are microseconds without zone, UTC."""
        with _in_words(query):
            return _with_moments_as(UNZONED, self.session.sql(query)).toArrow()

    def export(self, rows: Rows, path: Path) -> None:
        """Write rows to Parquet files in a new folder, sorted from file to file by their names."""
        from pyspark.sql import functions

        with _in_words(rows.relation):
            found = self.session.table(rows.relation)
            if rows.columns:
                found = found.select([_column(name) for name in rows.columns])
            order = [_column(name).asc_nulls_last() for name in rows.order or found.columns]
            found = _with_moments_as(UNZONED, found.orderBy(*order))
            if rows.published_at is not None:
                moment = functions.lit(rows.published_at.isoformat(sep=" "))
                found = found.withColumn("published_at", moment.cast(UNZONED))
            found.write.option("compression", "zstd").parquet(path.resolve().as_uri())
        for left in path.iterdir():
            if left.suffix != ".parquet":
                remove(left)

    def append(self, table: str, path: Path) -> None:
        """Add the rows of a Parquet file to a table that has the same columns."""
        with _in_words(table):
            self.session.read.parquet(path.resolve().as_uri()).write.insertInto(table)

    def make(self, query: str, inputs: Mapping[str, Path], path: Path) -> None:
        """Write a query's rows to Parquet files, with other rows for relations."""
        views = {name: f"martfeast_{uuid.uuid4().hex}" for name in inputs}
        with _in_words("spark"):
            try:
                for name, file in inputs.items():
                    rows = self.session.read.parquet(file.resolve().as_uri())
                    rows = _with_moments_as(ZONED, rows)  # as tables have them
                    rows.createOrReplaceTempView(views[name])
                rows = _with_moments_as(UNZONED, self.session.sql(renamed(query, views)))
                rows.write.parquet(path.resolve().as_uri())
            finally:
                for view in views.values():
                    self.session.catalog.dropTempView(view)


def _column(name: str) -> "Column":
    from pyspark.sql import functions

    return functions.col("`" + name.replace("`", "``") + "`")


def _with_moments_as(type_: str, rows: "DataFrame") -> "DataFrame":
    """Return rows whose moments have a type of Spark's: with a zone, UTC's here, or without one."""
    return rows.select(
        [
            _column(name).cast(type_).alias(name) if found in (ZONED, UNZONED) else _column(name)
            for name, found in rows.dtypes
        ]
    )


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Say in a sentence what Spark cannot do.

    Raises:
        DeclarationError: it cannot.

    """
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.errors import AnalysisException, ParseException, PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        fix = "Mend that, and run this again."
        # A query that Spark cannot understand is one thing, a job of it that was aborted another.
        is_refused = isinstance(error, (AnalysisException, ParseException))
        cause = Cause.USAGE if is_refused else Cause.INFRASTRUCTURE
        raise refusal(what, "spark-failed", f"Spark says: {said}.", fix, cause=cause) from error
    except (Py4JError, ConnectionError) as error:
        message = "Spark does not answer any more: it was killed, or had no memory left."
        fix = "Run this again, with more spark.driver.memory if that was it."
        cause = Cause.INFRASTRUCTURE
        raise refusal(what, "spark-failed", message, fix, cause=cause) from error
