"""Entity rows as SQL: one SELECT, in a DuckDB that reads what it may and writes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import literal
from martfeast.offline_store.columns import OfflineDataError, describe
from martfeast.offline_store.frames import first_line, printable
from martfeast.offline_store.source import connect, local_path

BATCH_ROWS = 100_000
# They run a text, so that what it does cannot be seen in the query: json_execute_serialized_sql
# takes a COPY.
RUNNING_TEXT = {"query", "json_execute_serialized_sql"}


def open_query(config: RepoConfig, text: str, sources: list[Path]) -> "EntityQuery":
    """Return the entity rows that a query gives.

    Args:
        config: of the feature store, whose settings say what the query may read.
        text: the query.
        sources: the Parquet files and folders of the feature views asked for, which it may read.

    Raises:
        OfflineDataError: it is not one SELECT, or cannot be run; the message has the next step.

    """
    connection = connect(config)
    attach_warehouse(connection, config)
    named = [local_path(config, path) for path in config.offline_store.readable_paths]
    _lock(connection, [*sources, *named])
    _require_select(connection, text)
    return EntityQuery(connection, text)


class EntityQuery:
    """The rows of a query. types: DuckDB's, by position. names: of its columns, as it has them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, text: str) -> None:
        self._connection = connection
        # query() takes a SELECT only, and in it COPY and INSERT are no common table expressions.
        self._relation = f"query({literal(text)})"
        described = connection.execute(f"describe {text}").fetchall()
        self.names = [str(row[0]) for row in described]
        self.types = [*describe(connection, self._relation).types.values()]

    def copy_to(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Create a temporary table of the rows elsewhere; its columns are called c0, c1 ..."""
        aliases = [f"c{number}" for number in range(len(self.names))]
        rows = self._connection.sql(f"from {self._relation} as rows({', '.join(aliases)})")
        connection.register("entity_query", rows.to_arrow_reader(BATCH_ROWS))
        there = describe(connection, "entity_query").types
        # Arrow has no type of its own for every type of DuckDB.
        selected = ", ".join(
            alias if there[alias] == type_ else f"cast({alias} as {type_}) as {alias}"
            for alias, type_ in zip(aliases, self.types, strict=True)
        )
        connection.execute(f"create temp table {table} as select {selected} from entity_query")
        connection.unregister("entity_query")
        self._connection.close()


def attach_warehouse(connection: duckdb.DuckDBPyConnection, config: RepoConfig) -> None:
    """Open the configured warehouse, read-only, as what SQL runs over."""
    warehouse = config.offline_store.warehouse
    if warehouse is None:
        return
    path = Path(config.repo_path or ".") / warehouse
    if not path.exists():
        raise OfflineDataError(
            f"The warehouse {path} does not exist. Build it, or correct offline_store.warehouse in"
            " feature_store.yaml."
        )
    try:
        connection.execute(f"attach {literal(str(path))} as warehouse (read_only); use warehouse")
    except duckdb.Error as error:
        raise OfflineDataError(
            f"The warehouse {path} cannot be opened: {first_line(error)}. If dbt is"
            " running, try again when it is done."
        ) from error


def _lock(connection: duckdb.DuckDBPyConnection, readable: list[Path]) -> None:
    """Let a DuckDB read these files and folders and nothing else, and keep its settings so."""
    files = ", ".join(literal(str(path)) for path in readable if not path.is_dir())
    folders = ", ".join(literal(str(path)) for path in readable if path.is_dir())
    connection.execute(
        f"set allowed_paths = [{files}]; set allowed_directories = [{folders}];"
        "set arrow_lossless_conversion = true;"
        "set enable_external_access = false; set lock_configuration = true"
    )


def _require_select(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raise OfflineDataError unless a text is one SELECT that shows all that it does."""
    statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise OfflineDataError(
            f"The entity rows are one SELECT, and this is {kinds}: {printable(text)}"
        )
    ((tree,),) = connection.execute(
        "select json_serialize_sql(cast(? as varchar))", [text]
    ).fetchall()
    hidden = sorted(RUNNING_TEXT.intersection(_functions(json.loads(tree))))
    if hidden:
        raise OfflineDataError(
            f"The entity rows are one SELECT, and {hidden[0]}() runs a text that is hidden in it."
            f" Write what it runs as a part of the SELECT. It was: {printable(text)}"
        )


def _functions(tree: Any) -> Iterator[str]:
    """Yield the names of the functions in a syntax tree of DuckDB, in lower case."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if "function_name" in node:
                yield str(node["function_name"]).lower()
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
