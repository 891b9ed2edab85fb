"""DuckDB as an engine: the database files of a target, only read but for the evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from martfeast.causes import Cause, cause_of
from martfeast.engines.duckdb import (
    connect_in_utc,
    copy_to_parquet,
    literal,
    parquet_rows,
    quoted,
    timestamp,
)
from martfeast.engines.engine import Rows, renamed
from martfeast.files import wait_for_database
from martfeast.problems import refusal


class DuckDBWarehouse:
    """The relations of a target of dbt-duckdb; see `Engine`."""

    def __init__(self, credentials: Any) -> None:
        """Find the database; one in memory is gone when dbt has ended."""
        if credentials.is_motherduck or ":memory:" in credentials.path:
            raise refusal(
                "dbt target",
                "database-not-a-file",
                f"Its database is {credentials.path}, which no other process can read.",
                "Nothing is to be done: on this target dbt publishes by itself when it builds.",
            )
        self.location = str(credentials.path)
        self.database = str(credentials.database)
        self.attached = [
            (str(Path(one.path).resolve()), one.alias or Path(one.path).name.split(".")[0])
            for one in credentials.attach or []
            if one.type in (None, "duckdb")
        ]

    def name(self, schema: str, table: str) -> str:
        """Return a table's name as SQL of DuckDB has it."""
        return f"{quoted(schema)}.{quoted(table)}"

    def rows(self, query: str) -> pyarrow.Table:
        """Return a query's rows; moments are microseconds without zone, UTC."""
        with self._open() as connection:
            return connection.sql(query).to_arrow_table()

    def export(self, rows: Rows, path: Path) -> None:
        """Write rows to a Parquet file in a new folder."""
        columns = ", ".join(map(quoted, rows.columns)) or "*"
        if rows.published_at is not None:
            columns += f", {timestamp(rows.published_at)} as published_at"
        order = ", ".join(map(quoted, rows.order)) or "all"
        path.mkdir(parents=True)
        with self._open() as connection:
            connection.execute(
                f"copy (select {columns} from {rows.relation} order by {order})"
                f" to {literal(str(path / 'part-0.parquet'))} (format parquet, compression zstd)"
            )

    def append(self, table: str, path: Path) -> None:
        """Add the rows of a Parquet file to a table that has the same columns."""
        with self._open(is_read_only=False) as connection:
            connection.execute(f"insert into {table} from {literal(str(path))}")

    def make(self, query: str, inputs: Mapping[str, Path], path: Path) -> None:
        """Write a query's rows to a Parquet file in a new folder, with other rows for relations."""
        files = {name: parquet_rows(file) for name, file in inputs.items()}
        path.mkdir(parents=True)
        with connect_in_utc() as connection:
            copy_to_parquet(connection, renamed(query, files), path / "part-0.parquet")

    def _open(self, is_read_only: bool = True) -> duckdb.DuckDBPyConnection:
        """Open the database as long as it takes: nobody else writes to it meanwhile."""
        while True:
            try:
                connection = duckdb.connect(self.location, read_only=is_read_only)
                for path, name in self.attached:
                    connection.execute(f"attach {literal(path)} as {quoted(name)} (read_only)")
                connection.execute("set TimeZone = 'UTC'")
                return connection
            except duckdb.IOException as error:
                if not wait_for_database(str(error)):
                    raise refusal(
                        "dbt target",
                        "database-unreadable",
                        f"{self.location} cannot be opened: {str(error).splitlines()[0]}.",
                        "Run `dbt build` first.",
                        cause=cause_of(error) if Path(self.location).exists() else Cause.USAGE,
                    ) from error
