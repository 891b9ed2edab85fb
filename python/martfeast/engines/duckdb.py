"""Names, texts, moments and files as DuckDB's SQL has them."""

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import duckdb

from martfeast.feature_types import FeatureType
from martfeast.files import replaced

DOUBLES = ("DOUBLE", "FLOAT")
# A statement over columns takes longer than in proportion, the more there are.
COLUMNS_AT_ONCE = 100
_TYPES = {
    "String": "varchar",
    "Int64": "bigint",
    "Int32": "integer",
    "Float64": "double",
    "Float32": "float",
    "Bool": "boolean",
    "UnixTimestamp": "timestamp",
}


def connect_in_utc() -> duckdb.DuckDBPyConnection:
    """Open a DuckDB in memory whose session is in UTC, whatever the machine's zone."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return connection


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def type_of(feature: FeatureType) -> str:
    """Return the type in SQL of what is a feature."""
    return _TYPES[feature.name] + ("[]" if feature.is_list else "")


def without_nan(column: str, type_: str) -> str:
    """Return a column, given as SQL with its type, whose NaN is null: a value that is missing."""
    return f"nullif({column}, 'nan')" if type_ in DOUBLES else column


def in_groups(names: Iterable[str], size: int = COLUMNS_AT_ONCE) -> Iterator[list[str]]:
    """Yield columns in groups of as many as a statement is to have, the last with the rest."""
    left = iter(names)
    while group := list(islice(left, size)):
        yield group


def scale_of(connection: duckdb.DuckDBPyConnection, relation: str, number: str) -> float:
    """Return a power of two by which finite doubles can be divided so that their sums are finite.

    It is 1 unless some are huge, and divides without rounding. number: SQL of the doubles.
    """
    ((greatest,),) = connection.execute(
        f"select max(abs({number})) filter (isfinite({number})) from {relation}"
    ).fetchall()
    return 2.0 ** (math.frexp(greatest)[1] - 1) if greatest and greatest > 1e100 else 1.0


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC without zone; one without zone is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def timestamp(moment: datetime) -> str:
    """Return a moment as an SQL literal: TIMESTAMP, UTC. One without zone is UTC."""
    return f"timestamp '{utc(moment).isoformat(sep=' ')}'"


def parquet_rows(path: Path) -> str:
    """Return SQL of the rows of a Parquet file, or of all files in a folder.

    A name such as ``prod=1`` in the path is a name, and no column of it.
    """
    return f"read_parquet({parquet_path(path)}, hive_partitioning = false)"


def parquet_path(path: Path) -> str:
    """Return a Parquet file's path, or a folder's with all files in it, for read_parquet.

    Characters that DuckDB would take as a pattern stand for themselves.
    """
    escaped = re.sub(r"[\[*?]", r"[\g<0>]", str(path))
    return literal(f"{escaped}/**/*.parquet" if path.is_dir() else escaped)


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    """Write a query's rows to a Parquet file, which appears or changes in one rename."""
    with replaced(path) as new:
        connection.execute(
            f"copy ({sql}) to {literal(str(new))} (format parquet, compression zstd)"
        )
