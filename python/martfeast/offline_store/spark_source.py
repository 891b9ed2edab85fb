"""Columns of Parquet files as Spark reads them, and their values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow

from martfeast.engines import duckdb as duckdb_sql
from martfeast.offline_store.columns import OfflineDataError
from martfeast.offline_store.source import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
ROW = ("file_path", "row_index")  # of a row in Parquet: in this order they stand there
# Spark's Parquet reader has no such types.
UNKNOWN = re.compile(r"\b(UUID|TIME|INTERVAL)\b")


@dataclass(frozen=True)
class SparkSource:
    """Columns of a source in Spark.

    data: they, called c0, c1 ..., and ROW. types: Spark's, by these names. schema: Arrow's, as they
    are in the files.
    """

    data: "DataFrame"
    types: dict[str, str]
    schema: pyarrow.Schema

    @staticmethod
    def open(
        connection: duckdb.DuckDBPyConnection,
        session: "SparkSession",
        source: Source,
        names: list[str],
        what: str,
    ) -> "SparkSource":
        """Return some columns of a source, which it has. what: whose they are, for messages.

        Raises:
            OfflineDataError: Spark does not have the type of one.

        """
        check_types(source.columns.types, names, what)
        schema = arrow_types(connection, source.relation, names)
        data = read_parquet(session, source.path, spark_schema(schema))
        return SparkSource(data, dict(data.dtypes), schema)

    def sql(self, name: str) -> str:
        """Return SQL of a column."""
        return f"c{self.schema.names.index(name)}"

    def type(self, name: str) -> str:
        """Return the Spark type of a column."""
        return self.types[self.sql(name)]

    def micros(self, name: str) -> str:
        """Return SQL of a time column, as microseconds UTC."""
        return micros(self.sql(name), self.type(name))

    def rank(self, name: str, column: str = "") -> str:
        """Return SQL of a column as it can be sorted, which maps cannot be.

        column: SQL of it, if it is called otherwise by now.
        """
        column = column or self.sql(name)
        return f"to_json(struct({column}))" if "map<" in self.type(name) else column

    def in_range(self, name: str, start: datetime | None, end: datetime | None) -> "DataFrame":
        """Return the rows whose time in a column is from start to end, both included, where given.

        It compares the column as it is, so that Parquet row groups outside are skipped.
        """
        rows = self.data
        for operator, bound in ((">=", start), ("<=", end)):
            if bound is None:
                continue
            at, type_ = (duckdb_sql.utc(bound) - EPOCH) // MICROSECOND, self.type(name)
            if type_ in ("timestamp", "timestamp_ntz"):
                literal = f"cast(timestamp_micros({at}) as {type_})"
                rows = rows.where(f"{self.sql(name)} {operator} {literal}")
            else:
                rows = rows.where(f"{self.micros(name)} {operator} {at}")
        return rows


def quoted(name: str) -> str:
    """Return a name as an identifier of Spark's SQL."""
    return "`" + name.replace("`", "``") + "`"


def arrow_types(
    connection: duckdb.DuckDBPyConnection, relation: str, names: Iterable[str]
) -> pyarrow.Schema:
    """Return the Arrow types that columns of a relation of DuckDB have."""
    selected = ", ".join(map(duckdb_sql.quoted, names))
    return connection.sql(f"select {selected} from {relation} limit 0").to_arrow_table().schema


def spark_arrow(type_: pyarrow.DataType) -> pyarrow.DataType:
    """Return the Arrow type of what Spark reads in place of a type in Parquet, without a loss.

    Unsigned integers become wider ones, and nanoseconds their number.
    """
    types = pyarrow.types
    if types.is_dictionary(type_):
        return spark_arrow(type_.value_type)
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return pyarrow.list_(spark_arrow(type_.value_type))
    if types.is_map(type_):
        return pyarrow.map_(spark_arrow(type_.key_type), spark_arrow(type_.item_type))
    if types.is_struct(type_):
        return pyarrow.struct([(field.name, spark_arrow(field.type)) for field in type_.fields])
    if types.is_timestamp(type_):
        us = pyarrow.timestamp("us", "UTC" if type_.tz else None)
        return pyarrow.int64() if type_.unit == "ns" else us
    wider = {
        pyarrow.uint8(): pyarrow.int16(),
        pyarrow.uint16(): pyarrow.int32(),
        pyarrow.uint32(): pyarrow.int64(),
        pyarrow.uint64(): pyarrow.decimal128(20, 0),
        pyarrow.null(): pyarrow.int32(),
    }
    return wider.get(type_, type_)


def spark_schema(schema: pyarrow.Schema) -> "StructType":
    """Return the schema that Spark reads columns of these Arrow types with."""
    from pyspark.sql.pandas.types import from_arrow_schema

    replaced = [pyarrow.field(field.name, spark_arrow(field.type)) for field in schema]
    return from_arrow_schema(pyarrow.schema(replaced), prefer_timestamp_ntz=True)


def check_types(types: Mapping[str, str], names: Iterable[str], what: str) -> None:
    """Raise OfflineDataError if Spark cannot read columns, given their DuckDB types.

    what: whose columns they are, for the message.
    """
    for name in names:
        if UNKNOWN.search(types[name].replace(" WITH TIME ZONE", "")):
            raise OfflineDataError(
                f"{what}: column {name} is {types[name]}, which Spark does not read from Parquet."
                " Write it as text, or use martfeast.offline_store.DuckDBAsofOfflineStore."
            )


def read_parquet(session: "SparkSession", path: Path, schema: "StructType") -> "DataFrame":
    """Return columns of a Parquet file or folder, called c0, c1 ... by position, with its ROW."""
    files = sorted(path.glob("**/*.parquet")) if path.is_dir() else [path]
    reader = session.read.schema(schema)
    if path.is_dir():
        reader = reader.option("basePath", str(path))
    # Characters that Hadoop would take as a pattern stand for themselves.
    rows = reader.parquet(*(re.sub(r"([\[\]{}*?\\])", r"\\\1", str(file)) for file in files))
    columns = [f"{quoted(name)} as c{number}" for number, name in enumerate(schema.names)]
    return rows.selectExpr(*columns, *(f"_metadata.{name}" for name in ROW))


def micros(column: str, type_: str, cast: str = "cast") -> str:
    """Return SQL of a time column, of a Spark type, as microseconds UTC; null stays null.

    Integers are nanoseconds, which are whole microseconds. With the cast "try_cast", what cannot be
    read is null.
    """
    if type_ == "bigint":
        return f"({column} div 1000)"
    if type_ == "string":  # which Spark takes with seconds alone
        column = f"regexp_replace({column}, '^(.{{16}})($|[-+Z])', '$1:00$2')"
    # The session is in UTC, so that the cast is exact; of text, it heeds the offset.
    return f"unix_micros({cast}({column} as timestamp))"


def as_given(column: pyarrow.ChunkedArray, type_: pyarrow.DataType) -> pyarrow.ChunkedArray:
    """Return a column that Spark gave, as the type that it had before."""
    if pyarrow.types.is_null(type_):
        return pyarrow.chunked_array([pyarrow.nulls(len(column))])
    return column if column.type == type_ else column.cast(type_)


def in_spark(column: str, type_: pyarrow.DataType) -> str:
    """Return SQL of a column of an Arrow type as Spark shows it.

    Nanoseconds, which Spark read as a number, become the time; one that Spark cannot have is an
    error once it is computed.
    """
    if not pyarrow.types.is_timestamp(type_) or type_.unit != "ns":
        return column
    message = "a time has nanoseconds, which Spark lacks: round it, or take the rows with to_arrow"
    time = f"cast(timestamp_micros({column} div 1000) as timestamp{'' if type_.tz else '_ntz'})"
    return f"if({column} % 1000 <> 0, raise_error('{message}'), {time}) as {column}"
