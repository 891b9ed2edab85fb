"""One feature view of a retrieval in Spark, and how its rows are matched to the entity rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow

from martfeast.offline_store.columns import TIMES
from martfeast.offline_store.joined_view import JoinedView
from martfeast.offline_store.spark_session import OwnSession
from martfeast.offline_store.spark_source import MICROSECOND, SparkSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LONGEST = 2**62  # microseconds; no two moments are further apart


@dataclass(frozen=True)
class SparkView:
    """A feature view whose columns Spark reads. number: of the view in the retrieval."""

    own: OwnSession
    view: JoinedView
    source: SparkSource
    number: int

    @staticmethod
    def open(
        connection: duckdb.DuckDBPyConnection, own: OwnSession, view: JoinedView, number: int
    ) -> "SparkView":
        """Let Spark look at a view's columns.

        Raises:
            OfflineDataError: Spark does not have the type of one.

        """
        source = view.source
        names = [*map(source.column, view.keys), *source.times, *view.features]
        what = f"Feature view '{view.name}'"
        read = SparkSource.open(connection, own.session, source, [*dict.fromkeys(names)], what)
        return SparkView(own, view, read, number)

    @property
    def spine_keys(self) -> list[str]:
        """What the view's keys are called in a spine."""
        return [f"v{self.number}_k{key}" for key in range(len(self.view.keys))]

    @property
    def outputs(self) -> list[str]:
        """What the view's features are called beside a spine."""
        return [f"v{self.number}_{name}" for name in self.view.numbers]

    @property
    def feature_types(self) -> list[pyarrow.DataType]:
        """The Arrow types of the features, as they are in the files."""
        return [self.source.schema.field(name).type for name in self.view.features]

    def key(self, key: str) -> str:
        """Return SQL of a join key as it is compared."""
        name, type_ = self.view.source.column(key), self.view.key_type(key)
        if not is_moment(type_) or type_.endswith("_NS"):
            return self.source.sql(name)
        return self.source.micros(name)

    def key_type(self, key: str) -> str:
        """Return the Spark type of a join key in the data."""
        return self.source.type(self.view.source.column(key))

    def facts(self, start: datetime | None, end: datetime | None, by_created: bool) -> "DataFrame":
        """Return the rows that may be matched, one for each key and moment.

        Columns: the keys k0, k1 ..., ``at``, from when on the row counts, ``ts``, and the features
        f0, f1 ...

        start, end: the range of timestamps that can matter. by_created: rows count from their
        creation on.
        """
        keys = [f"k{number}" for number in range(len(self.view.keys))]
        time, created = self.view.source.timestamp, self.view.source.created
        selected = [f"{self.key(key)} as k{n}" for n, key in enumerate(self.view.keys)]
        selected.append(f"{self.source.micros(time)} as ts")
        named = list(zip(self.view.numbers, self.view.features, strict=True))
        rank = ["ts", *(self.source.rank(name, number) for number, name in named)]
        if created:
            selected.append(f"{self.source.micros(created)} as created")
            rank.insert(1, "created")
        selected += [f"{self.source.sql(name)} as {number}" for number, name in named]
        rows = self.source.in_range(time, start, end).selectExpr(*selected)
        for name in (*keys, "ts", *(["created"] * by_created)):
            rows = rows.where(f"{name} is not null")
        rows = rows.selectExpr("*", f"{'greatest(ts, created)' if by_created else 'ts'} as at")
        if keys:  # one shuffle for what follows and for the join
            rows = rows.repartition(*keys)
        by_key = f"partition by {', '.join(keys)}" if keys else ""
        if by_created:
            # Only a row that is better than all that became usable before it is ever the best.
            best = f"struct({', '.join(rank)})"
            rows = rows.selectExpr(
                "*",
                f"{best} <=> max({best}) over ({by_key} order by at, {', '.join(rank)}"
                " rows between unbounded preceding and current row) as is_best",
            ).where("is_best")
        by_moment = f"partition by {', '.join([*keys, 'at'])}"
        last = f"lead(1) over ({by_moment} order by {', '.join(rank)}) is null as is_last"
        return (
            rows.selectExpr("*", last)
            .where("is_last")
            .selectExpr(*keys, "at", "ts", *self.view.numbers)
        )

    def beside(self, rows: "DataFrame", facts: "DataFrame") -> "DataFrame":
        """Return entity rows with the features of the latest facts of their keys, or nulls.

        The features are called as ``outputs`` says.
        """
        joined = self._by_asof(rows, facts) if self.own.is_native else self._by_window(rows, facts)
        alive = "true"
        if self.view.ttl:
            ttl = min(self.view.ttl // MICROSECOND, LONGEST)
            alive = f"ts >= moment - {ttl}"
        return joined.selectExpr(
            *rows.columns,
            *(
                f"case when {alive} then {name} end as {output}"
                for name, output in zip(self.view.numbers, self.outputs, strict=True)
            ),
        )

    def _by_asof(self, rows: "DataFrame", facts: "DataFrame") -> "DataFrame":
        """Join by Spark's ASOF JOIN."""
        conditions = [f"l.{name} = r.k{number}" for number, name in enumerate(self.spine_keys)]
        on = f" on {' and '.join(conditions)}" if conditions else ""
        features = "".join(f", r.{name}" for name in self.view.numbers)
        return self.own.session.sql(
            f"select l.*, r.ts{features} from {{rows}} as l left asof join {{facts}} as r"
            f" match_condition (l.moment >= r.at){on}",
            rows=rows,
            facts=facts,
        )

    def _by_window(self, rows: "DataFrame", facts: "DataFrame") -> "DataFrame":
        """Join by a window over both, where Spark has no ASOF JOIN: the last fact so far."""
        keys = [f"k{number}" for number in range(len(self.view.keys))]
        named = [f"{name} as {key}" for name, key in zip(self.spine_keys, keys, strict=True)]
        left = rows.selectExpr("struct(*) as l", *named, "moment as at", "1 as side")
        right = facts.selectExpr(
            f"struct({', '.join(['ts', *self.view.numbers])}) as r", *keys, "at", "0 as side"
        )
        partition = f"partition by {', '.join(keys)}" if keys else ""
        return (
            left.unionByName(right, allowMissingColumns=True)
            .selectExpr(
                "l",
                f"last(r, true) over ({partition} order by at, side"
                " rows between unbounded preceding and current row) as r",
            )
            .where("l is not null")
            .selectExpr("l.*", "r.*")
        )


def is_moment(type_: str) -> bool:
    """Tell whether a key of this DuckDB type is compared as a number."""
    return type_ in TIMES and type_ != "DATE"
