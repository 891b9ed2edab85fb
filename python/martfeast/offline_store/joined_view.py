"""One feature view of a retrieval, and how its rows are matched to the entity rows."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.repo_config import RepoConfig

from martfeast.engines.duckdb import quoted
from martfeast.offline_store.columns import (
    FLOATS,
    INTEGERS,
    NULL,
    TIMES,
    OfflineDataError,
    converted,
    inexact,
    value_where,
)
from martfeast.offline_store.entity_rows import EVENT_TIMESTAMP, EntityFrame, Spine
from martfeast.offline_store.source import (
    Source,
    in_range,
    interval,
    latest,
    open_source,
)

# A search compares every feature row with every entity row of its key, and an ASOF JOIN sorts all
# feature rows: benchmarks/offline_store.py measures both plans around this number of entity rows.
FEW_ROWS_OF_A_KEY = 32


@dataclass(frozen=True)
class JoinedView:
    """One feature view of a retrieval.

    keys: the entity column for each join key. features: the columns in the data, in order.
    outputs: what they are called in the result. table: what the view is called in SQL.
    """

    name: str
    source: Source
    keys: dict[str, str]
    features: list[str]
    outputs: list[str]
    ttl: timedelta | None
    table: str

    @staticmethod
    def open(
        connection: duckdb.DuckDBPyConnection,
        config: RepoConfig,
        view: FeatureView,
        features: list[str],
        full_feature_names: bool,
        index: int,
    ) -> "JoinedView":
        """Look at a view's source, and see that it has what is asked of it."""
        what = f"Feature view '{view.name}'"
        source = open_source(connection, config, view.batch_source, what)
        aliases = view.projection.join_key_map or {}
        names = [c.name for c in view.entity_columns if c.name != DUMMY_ENTITY_ID]
        prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
        joined = JoinedView(
            name=view.name,
            source=source,
            keys={name: aliases.get(name, name) for name in names},
            features=[source.column(name) for name in features],
            outputs=[f"{prefix}{name}" for name in features],
            ttl=view.ttl or None,
            table=f"view_{index}",
        )
        needed = [*map(source.column, names), *joined.features]
        source.columns.require(needed, what, str(source.path))
        source.check_times(connection, source.relation, source.times, what)
        return joined

    def check(self, connection: duckdb.DuckDBPyConnection, frame: EntityFrame) -> None:
        """Raise OfflineDataError if the entity frame lacks a key, or has one of another kind."""
        missing = [name for name in self.keys.values() if name not in frame.columns.types]
        if missing:
            raise OfflineDataError(
                f"The entity frame has no column {', '.join(missing)}, which feature view"
                f" '{self.name}' is looked up by. It has: {', '.join(frame.columns.types)}."
            )
        for key, name in self.keys.items():
            given, type_ = frame.columns.types[name], self.key_type(key)
            if not _are_comparable(given, type_):
                here, there = self._sides(key, frame)
                raise OfflineDataError(f"{here}, and {there}. Convert one of them.")
            if self.is_changed(key, frame):
                column, condition = frame.sql(name), inexact(frame.sql(name), given, type_)
                value = value_where(connection, "entity_frame", column, condition)
                if value is not None:
                    raise self.inexact_key(key, frame, value)

    def is_changed(self, key: str, frame: EntityFrame) -> bool:
        """Tell whether the view's type may not have a value of a key's column in the frame."""
        given, type_ = frame.columns.types[self.keys[key]], self.key_type(key)
        # What the view's type cannot have, no row of the view has.
        if given == type_ or NULL in (given, type_) or {given, type_} < INTEGERS:
            return False
        return not (_is_text(given) and _is_text(type_))

    def inexact_key(self, key: str, frame: EntityFrame, value: str) -> OfflineDataError:
        """Return the error for a value of the frame that the view's type does not have."""
        here, there = self._sides(key, frame)
        return OfflineDataError(
            f"{here} with the value '{value}', and {there}, which cannot have exactly this"
            " value. Correct it, or convert the column."
        )

    def _sides(self, key: str, frame: EntityFrame) -> tuple[str, str]:
        name = self.keys[key]
        return (
            f"Column {name} of the entity rows is {frame.columns.types[name]}",
            f"column {key} of feature view '{self.name}' is {self.key_type(key)}",
        )

    def key_type(self, key: str) -> str:
        """Return the DuckDB type of a join key in the data."""
        return self.source.columns.types[self.source.column(key)]

    @property
    def numbers(self) -> list[str]:
        """What the features are called in SQL."""
        return [f"f{number}" for number in range(len(self.features))]

    def matches(self, connection: duckdb.DuckDBPyConnection, spine: Spine, by_created: bool) -> str:
        """Return SQL of the features f0, f1 ... for each entity row, in the frame's order.

        What has to be looked up first is looked up now.
        """
        by_created = by_created and self.source.created is not None
        if not by_created and self.is_searched(connection, spine):
            return self.search(connection, spine)
        keys = enumerate(self.entity_keys(spine.frame))
        conditions = [f"entity_rows.{key} = facts.k{number}" for number, key in keys]
        conditions.append(f"moment >= facts.{'usable' if by_created else 'ts'}")
        selected = ", ".join(self.numbers)
        if self.ttl:
            alive = f"moment <= ts + {interval(self.ttl)}"
            selected = ", ".join(f"case when {alive} then {f} end as {f}" for f in self.numbers)
        return (
            f"select {selected} from entity_rows"
            f" asof left join ({self.facts(connection, spine, by_created)}) as facts"
            f" on {' and '.join(conditions)} order by position"
        )

    def is_searched(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> bool:
        """Tell whether to search the view's rows, and not to sort them for an ASOF JOIN."""
        if spine.row_count >= self.source.row_count:
            return False
        keys = ", ".join(self.entity_keys(spine.frame)) or "true"
        sql = f"select max(n) from (select count(*) as n from entity_rows group by {keys})"
        return (connection.execute(sql).fetchall()[0][0] or 0) <= FEW_ROWS_OF_A_KEY

    def entity_keys(self, frame: EntityFrame) -> dict[str, str]:
        """Return what the table entity_rows has for each key: the column, and SQL of it.

        They are of the view's type there: DuckDB would compare two types as a third, slowly and
        not always exactly.
        """
        found = {}
        for key, name in self.keys.items():
            column, type_, given = frame.sql(name), self.key_type(key), frame.columns.types[name]
            alias = self.entity_column(key, frame)
            found[alias] = column if alias == column else converted(column, given, type_)
        return found

    def entity_column(self, key: str, frame: EntityFrame) -> str:
        """Return what a key is called in the table entity_rows."""
        name = self.keys[key]
        column, type_, given = frame.sql(name), self.key_type(key), frame.columns.types[name]
        if type_ == given or NULL in (type_, given):
            return column
        return re.sub(r"\W", "_", f"{column}_{type_}")

    def search(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> str:
        """Return SQL of the matches, found without sorting the view's rows.

        The latest time of each entity row comes first, so that only keys and times are compared;
        then the rows at those times are fetched. If some are tied, the ties are broken then.
        """
        keys = self.entity_keys(spine.frame)
        conditions = [f"entity_rows.{key} = k{number}" for number, key in enumerate(keys)]
        conditions.append("moment >= ts")
        if self.ttl:
            conditions.append(f"moment <= ts + {interval(self.ttl)}")
        grouped = ", ".join(["position", *keys])
        (found,) = connection.execute(
            f"create or replace temp table times as select {grouped}, max(ts) as ts"
            f" from entity_rows join ({self.rows(spine, [])}) on {' and '.join(conditions)}"
            " group by all"
        ).fetchall()[0]
        conditions = [f"times.{key} = facts.k{number}" for number, key in enumerate(keys)]
        conditions.append("times.ts = facts.ts")
        order = ["created"] * (self.source.created is not None) + self.numbers
        fetched = f"{self.table}_fetched"
        (rows,) = connection.execute(
            f"create or replace temp table {fetched} as select position, {', '.join(order)}"
            f" from times join ({self.rows(spine, self.features)}) as facts"
            f" on {' and '.join(conditions)}"
        ).fetchall()[0]
        best = f"from {fetched}"
        if rows > found:
            best = latest(best, ["position"], order)
        return (
            f"select {', '.join(self.numbers)} from entity_rows"
            f" left join ({best}) as best using (position) order by position"
        )

    def rows(self, spine: Spine, features: list[str]) -> str:
        """Return SQL of the rows that can matter: k0, k1 ..., ts, created if any, f0, f1 ..."""
        source = self.source
        selected = [f"{quoted(source.column(key))} as k{n}" for n, key in enumerate(self.keys)]
        selected.append(f"{source.columns.utc(source.timestamp)} as ts")
        if source.created:
            selected.append(f"{source.columns.utc(source.created)} as created")
        selected += [f"{quoted(name)} as f{number}" for number, name in enumerate(features)]
        condition = in_range(source.columns, source.timestamp, self.start(spine.first), spine.last)
        return f"select {', '.join(selected)} from {source.relation} where {condition}"

    def start(self, first: datetime | None) -> datetime | None:
        """Return the moment before which no row can matter; None if there is no such moment.

        first: the earliest moment of the entity rows.
        """
        if not first or not self.ttl:
            return None
        try:
            return first - self.ttl
        except OverflowError:
            return None

    def facts(self, connection: duckdb.DuckDBPyConnection, spine: Spine, by_created: bool) -> str:
        """Return SQL of the rows that may be matched by ASOF JOIN, one for each key and moment.

        by_created: rows count from their creation on, and have a column usable: from when on each
        is the best row of its key.
        """
        rows = self.rows(spine, self.features)
        keys = [f"k{number}" for number in range(len(self.keys))]
        if by_created:
            # At each moment at which a row becomes usable, the best of those usable so far.
            ordered = [f"h{f} := {f} is not null, {f} := {f}" for f in self.numbers]
            best = ", ".join(["ts := ts", "created := created", *ordered])
            partition = f"partition by {', '.join(keys)}" if keys else ""
            unpacked = ["usable", "best.ts as ts", *(f"best.{f} as {f}" for f in self.numbers)]
            return (
                f"select distinct {', '.join(keys + unpacked)} from (select *,"
                f" max(struct_pack({best})) over ({partition} order by usable) as best"
                f" from (select *, greatest(ts, created) as usable from ({rows})"
                " where created is not null))"
            )
        group = ", ".join([*keys, "ts"])
        (has_ties,) = connection.execute(
            f"select exists (select 1 from ({rows}) group by {group} having count(*) > 1)"
        ).fetchall()[0]
        if has_ties:
            order = ["created"] * (self.source.created is not None) + self.numbers
            return latest(rows, [*keys, "ts"], order)
        return rows


def _is_number(type_: str) -> bool:
    return type_ in INTEGERS or type_ in FLOATS or type_.startswith("DECIMAL")


def _is_text(type_: str) -> bool:
    return type_ == "VARCHAR" or type_.startswith("ENUM(")


def _are_comparable(given: str, type_: str) -> bool:
    """Tell whether entity rows may have a key of one type where a view has another."""
    if given == type_ or NULL in (given, type_):
        return True
    if type_ == "UUID":
        return _is_text(given)
    if type_ in TIMES:
        return given in TIMES
    return all(map(_is_number, (given, type_))) or all(map(_is_text, (given, type_)))


def check_frame(
    connection: duckdb.DuckDBPyConnection, frame: EntityFrame, views: list[JoinedView]
) -> None:
    """See that entity rows have what views are looked up by.

    Raises:
        OfflineDataError: a key is missing or of another kind, or two columns of the result would
            have one name.

    """
    taken = dict.fromkeys(frame.columns.types, "a column of the entity frame")
    for view in views:
        view.check(connection, frame)
        for name in view.outputs:
            if name in taken:
                raise OfflineDataError(
                    f"{name} is {taken[name]} and a feature of '{view.name}'. Rename one of them,"
                    " or ask with full_feature_names=True."
                )
            taken[name] = f"a feature of '{view.name}'"


def shared_keys(views: list[JoinedView]) -> list[str]:
    """Return the entity columns that all views are looked up by, sorted.

    Raises:
        OfflineDataError: they have not the same.

    """
    keys = [sorted(view.keys.values()) for view in views]
    if any(other != keys[0] for other in keys):
        listed = "; ".join(f"{v.name}: {', '.join(k)}" for v, k in zip(views, keys, strict=True))
        raise OfflineDataError(
            f"Without an entity frame all views must have the same keys, and they have {listed}."
            " Ask for them one by one, or give an entity frame."
        )
    return keys[0]


def frame_from_views(
    connection: duckdb.DuckDBPyConnection,
    views: list[JoinedView],
    start: datetime,
    end: datetime,
) -> EntityFrame:
    """Return entity rows of every key and timestamp that the views have in a range."""
    names = shared_keys(views)
    selects = []
    for view in views:
        source = view.source
        columns = [f"{source.columns.utc(source.timestamp)} at time zone 'UTC' as c0"]
        by_entity = sorted(view.keys, key=view.keys.__getitem__)
        columns += [f"{quoted(source.column(key))} as c{n}" for n, key in enumerate(by_entity, 1)]
        condition = in_range(source.columns, source.timestamp, start, end)
        selects.append(f"select {', '.join(columns)} from {source.relation} where {condition}")
    connection.execute(
        f"create temp table entity_frame as select distinct *"
        f" from ({' union all '.join(selects)}) order by all"
    )
    return EntityFrame.of(connection, [EVENT_TIMESTAMP, *names])
