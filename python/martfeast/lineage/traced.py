"""What tracing a column finds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

IDENTITY, TRANSFORMATION, AGGREGATION = "identity", "transformation", "aggregation"
FILTER, JOIN, GROUP, WINDOW = "filter", "join", "group", "window"
_HOWS = (IDENTITY, TRANSFORMATION, AGGREGATION)
T = TypeVar("T")


class ColumnKey(NamedTuple):
    """A column of a relation: the relation's unique_id, and the name in lower case."""

    unique_id: str
    column: str


class Known(NamedTuple):
    """A relation that SQL may read. columns: None if nobody knows them. is_whole: no others."""

    unique_id: str
    columns: Iterable[str] | None
    is_whole: bool = True


class Step(NamedTuple):
    """A part of a SELECT that computes something. name: of the CTE, or '' of the last select."""

    name: str
    sql: str


@dataclass(frozen=True)
class Traced:
    """What a column is computed of.

    values: the columns that its value is computed of. how: identity, transformation or aggregation.
    shaped_by: the columns that decide which rows it is computed of, and how: by filter, join, group
    or window. counted: the unique_ids of relations whose rows are counted. rows_of: of those whose
    choice of rows its value depends on, as a sum or a lookup does. steps: the expressions
    that compute it, the last one first; what only passes it on is left out. definition: a
    checksum of all that computes it, in which names of CTEs and aliases do not matter.
    """

    values: tuple[ColumnKey, ...] = ()
    how: str = IDENTITY
    shaped_by: tuple[tuple[ColumnKey, str], ...] = ()
    counted: tuple[str, ...] = ()
    rows_of: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    definition: str = ""

    def and_all(self, others: Iterable["Traced"]) -> "Traced":
        """Return this with what others are computed of; its own definition holds."""
        found = [self, *others]
        return Traced(
            values=united(one.values for one in found),
            how=max((one.how for one in found), key=_HOWS.index),
            shaped_by=united(one.shaped_by for one in found),
            counted=united(one.counted for one in found),
            rows_of=united(one.rows_of for one in found),
            steps=united(one.steps for one in found),
            definition=self.definition,
        )


@dataclass(frozen=True)
class TracedSelect:
    """A SELECT.

    columns: by name, in its order. rows: a checksum of the SQL that decides on its rows.
    rows_by: the columns that do. rows_of: the unique_ids of the relations that it takes rows of.
    """

    columns: dict[str, Traced]
    rows: str
    rows_by: tuple[ColumnKey, ...]
    rows_of: tuple[str, ...]


class Untraceable(Exception):
    """A SELECT that cannot be traced; its message says why."""


def united(found: Iterable[Iterable[T]]) -> tuple[T, ...]:
    """Return all of several, in order, each once."""
    return tuple(dict.fromkeys(one for some in found for one in some))
