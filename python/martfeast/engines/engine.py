"""What a target's engine does for martfeast: the one interface that every engine has.

Where SQL differs, the dbt package dispatches (``macros/engines``); the rest is here.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow

from martfeast.problems import refusal

# By dbt's name of the adapter: the module and class that make an engine of its credentials.
ENGINES = {
    "duckdb": ("martfeast.engines.duckdb_warehouse", "DuckDBWarehouse"),
    "spark": ("martfeast.engines.spark_warehouse", "SparkWarehouse"),
}


@dataclass(frozen=True)
class Rows:
    """Rows of a relation to export.

    relation: as SQL of the engine has it. columns: their names, in order; none for all.
    order: names of the columns to sort by, nulls last; none for all columns.
    published_at: UTC; the value of a last column of that name, or None for none.
    """

    relation: str
    columns: Sequence[str] = ()
    order: Sequence[str] = ()
    published_at: datetime | None = None


class Engine(Protocol):
    """The relations of one target. location: what tells its database from others, in words."""

    location: str

    def name(self, schema: str, table: str) -> str:
        """Return a table's name as SQL of the engine has it."""

    def rows(self, query: str) -> pyarrow.Table:
        """Return a query's rows; moments are microseconds without zone, UTC."""

    def export(self, rows: Rows, path: Path) -> None:
        """Write rows to Parquet files in a new folder, sorted from file to file by their names.

        Moments are microseconds without zone, UTC. Nothing but Parquet files is left there.

        Raises:
            DeclarationError: the engine cannot read them or write there, in its own words.

        """

    def append(self, table: str, path: Path) -> None:
        """Add the rows of a Parquet file to a table that has the same columns."""

    def make(self, query: str, inputs: Mapping[str, Path], path: Path) -> None:
        """Write a query's rows to Parquet files in a new folder, with other rows for relations.

        Args:
            query: one SELECT.
            inputs: for what the query calls a relation, the Parquet file that it reads instead.
            path: the folder.

        Raises:
            DeclarationError: the engine cannot run it, in its own words.

        """


def renamed(query: str, names: Mapping[str, str]) -> str:
    """Return a query in which relations are called otherwise. names: new ones, by old ones."""
    for old, new in names.items():
        whole = rf"(?<![\w.`\"]){re.escape(old)}(?![\w`\"])"
        query = re.sub(whole, lambda _, new=new: str(new), query)  # type: ignore[misc]
    return query


def open_engine(credentials: Any) -> Engine:
    """Return the engine of a target.

    Args:
        credentials: dbt's, of the target.

    Raises:
        DeclarationError: martfeast has no engine of that type, or it cannot be reached.
        MissingExtraError: what it needs is not installed.

    """
    if credentials.type not in ENGINES:
        raise refusal(
            "dbt target",
            "engine-unknown",
            f"It is of type {credentials.type}, and martfeast works with {', '.join(ENGINES)}.",
            "Name another target with --target; docs/extending.md says how to add an engine.",
        )
    module, name = ENGINES[credentials.type]
    engine: Engine = getattr(importlib.import_module(module), name)(credentials)
    return engine
