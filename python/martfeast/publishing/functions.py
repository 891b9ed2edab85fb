"""The two SQL functions by which the dbt package reads from and writes to another engine.

dbt-duckdb loads this module as a plugin of the target that `publish` runs the package on.
"""

import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from martfeast.engines.engine import Engine, Rows

FUNCTIONS = ("export", "append")


class Exchange:
    """Serves the functions: what was asked of an engine, and what it failed on.

    engine: of the marts. schema: of the evidence there. exported: the folders that were written.
    failure: what the engine raised; dbt would wrap it in words of its own.
    """

    current: "Exchange | None" = None

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine = engine
        self.schema = schema
        self.exported: list[Path] = []
        self.failure: Exception | None = None
        self.connections: list[DuckDBPyConnection] = []

    @classmethod
    def open(cls, engine: Engine, schema: str) -> "Exchange":
        """Serve the functions of connections that are opened from here on."""
        cls.current = cls(engine, schema)
        return cls.current

    def close(self) -> None:
        """Let go of the database in memory, which dbt would keep as long as the process lives."""
        Exchange.current = None
        for connection in self.connections:
            for name in FUNCTIONS:
                with contextlib.suppress(duckdb.Error):
                    connection.remove_function(f"martfeast_{name}")
            connection.close()
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def export(self, request: str) -> bool:
        """Write rows of the engine to a folder of Parquet files.

        request: JSON with relation, or table for one of the evidence; columns; order; published_at,
        a moment in UTC; path, of the folder. All but the first and the last may be missing.
        """
        asked = json.loads(request)
        relation = asked.get("relation") or self.engine.name(self.schema, asked["table"])
        moment = asked.get("published_at")
        rows = Rows(
            relation,
            asked.get("columns") or (),
            asked.get("order") or (),
            datetime.fromisoformat(moment) if moment else None,
        )
        path = Path(asked["path"])
        self.exported.append(path)
        return self._tried(lambda: self.engine.export(rows, path))

    def append(self, request: str) -> bool:
        """Add rows to a table of the engine's evidence. request: JSON with table and path."""
        asked = json.loads(request)
        table = self.engine.name(self.schema, asked["table"])
        return self._tried(lambda: self.engine.append(table, Path(asked["path"])))

    def _tried(self, what: Callable[[], None]) -> bool:
        try:
            what()
        except Exception as error:
            self.failure = error
            raise
        return True


class Plugin(BasePlugin):
    """Gives each connection the functions."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Add the functions to a connection."""
        exchange = Exchange.current
        if exchange is not None:
            exchange.connections.append(conn)
            for name in FUNCTIONS:
                conn.create_function(
                    f"martfeast_{name}",
                    getattr(exchange, name),
                    ["VARCHAR"],
                    "BOOLEAN",
                    side_effects=True,
                )
