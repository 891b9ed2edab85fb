"""The database in which a lineage is built again as of a cut; the warehouse is only read."""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from martfeast.engines.duckdb import literal, quoted, timestamp
from martfeast.problems import refusal
from martfeast.replay.lineage import END_OF_DAY, Lineage, Relation


@dataclass(frozen=True)
class Cut:
    """A past moment, UTC without zone, and what is special about it.

    perturbation: what is done to facts after it; by default they are withheld.
    """

    at: datetime
    reason: str
    perturbation: str = "withheld"

    def __str__(self) -> str:
        return f"{self.at.isoformat(sep=' ')} ({self.reason}, later facts {self.perturbation})"


class Scratch:
    """A DuckDB in memory in which a lineage is built again; the warehouse is only read."""

    def __init__(self, lineage: Lineage, project_dir: str) -> None:
        self.lineage = lineage
        self.connection = duckdb.connect()
        self.spill = tempfile.TemporaryDirectory(prefix="martfeast-replay-")
        self.connection.execute(f"set temp_directory = {literal(self.spill.name)}")
        for name, value in lineage.settings.items():
            self.connection.execute(f"set {name} = {literal(str(value))}")
        self.connection.execute(f"set file_search_path = {literal(project_dir)}")
        for database in lineage.databases:
            self.connection.execute(f"attach ':memory:' as {quoted(database)}")
        self.connection.execute("attach ':memory:' as replayed")
        self.attached: dict[str, str] = {}
        self.time_types: dict[str, str] = {}
        self.number = {name: index for index, name in enumerate(lineage.relations)}
        self.shared = self._build_shared()

    def table(self, relation: Relation) -> str:
        """Return SQL of the whole relation, before any cut."""
        return f"replayed.main.r{self.number[relation.unique_id]}"

    def _build_shared(self) -> set[str]:
        """Build what no cut changes, once; return its unique_ids."""
        shared: set[str] = set()
        for relation in self.lineage.relations.values():
            schema = relation.sql.rsplit(".", 1)[0]
            self.connection.execute(f"create schema if not exists {schema}")
            parents = [self.lineage.relations[parent] for parent in relation.parents]
            if all(p.unique_id in shared and not p.event_time for p in parents):
                shared.add(relation.unique_id)
                self._make(relation)
                self._show(relation, None)
        return shared

    def _make(self, relation: Relation) -> None:
        rows = relation.made_by
        if rows is None:
            rows = f"from {relation.location or self._in_warehouse(relation)}"
        try:
            self.connection.execute(f"create or replace table {self.table(relation)} as {rows}")
        except duckdb.Error as error:
            raise refusal(
                relation.name,
                "not-replayable",
                f"A replay cannot build it: {str(error).splitlines()[0]}.",
                "Run `dbt build`; it says more if the model is at fault.",
                relation.file,
            ) from None

    def _in_warehouse(self, relation: Relation) -> str:
        """Return what a relation is called in the file of its database, attached read-only."""
        database, name = relation.sql.split(".", 1)
        database = database.strip('"')
        if database not in self.attached:
            path = self.lineage.databases.get(database, Path())
            alias = f"warehouse_file_{len(self.attached)}"
            try:
                self.connection.execute(f"attach {literal(str(path))} as {alias} (read_only)")
            except duckdb.Error as error:
                raise refusal(
                    relation.name,
                    "not-replayable",
                    f"Its database {database}, {path}, cannot be read:"
                    f" {str(error).splitlines()[0].rstrip('.')}.",
                    "If dbt is running, try again when it is done.",
                ) from None
            self.attached[database] = alias
        return f"{self.attached[database]}.{name}"

    def _show(self, relation: Relation, cut: Cut | None) -> None:
        """Let the relation's own name show what is known of it."""
        rows = f"select * from {self.table(relation)}"
        if cut is not None and relation.event_time:
            rows = self.as_of(relation, cut)
        self.connection.execute(f"create or replace view {relation.sql} as {rows}")

    def build(
        self, cut: Cut | None, wanted: set[str], cut_relations: set[str] | None = None
    ) -> None:
        """Build relations again as of a cut.

        Args:
            cut: the moment; None for no cut.
            wanted: unique_ids of what to build, with all that it is made of.
            cut_relations: the relations whose later facts are cut; by default all.

        """
        for relation in self.lineage.relations.values():
            if relation.unique_id not in wanted:
                continue
            if relation.unique_id not in self.shared:
                self._make(relation)
            is_cut = cut_relations is None or relation.unique_id in cut_relations
            self._show(relation, cut if is_cut else None)

    def time_type(self, relation: Relation) -> str:
        """Return the type of a relation's event time, which must be a time."""
        if relation.unique_id not in self.time_types:
            described = self.connection.execute(f"describe {self.table(relation)}").fetchall()
            types = {row[0].lower(): row[1] for row in described}
            type_ = types.get(str(relation.event_time).lower(), "not a column")
            if not type_.startswith(("TIMESTAMP", "DATE")):
                raise refusal(
                    relation.name,
                    "event-time-unusable",
                    f"Its event_time is {relation.event_time}, which is {type_}.",
                    "Name a column that is a timestamp or a date.",
                    relation.file,
                )
            self.time_types[relation.unique_id] = type_
        return self.time_types[relation.unique_id]

    def utc(self, relation: Relation) -> str:
        """Return SQL of when a relation's rows were known: TIMESTAMP, UTC, in any session's zone.

        A date is known when it is over, unless the relation says otherwise.
        """
        return self._moment(relation, quoted(str(relation.event_time)))

    def _moment(self, relation: Relation, time: str) -> str:
        """Return SQL of a time of the type of event_time as the moment when it was known."""
        type_ = self.time_type(relation)
        if "ZONE" in type_:
            return f"timezone('UTC', {time})"
        if type_ == "DATE" and relation.date_known_at == END_OF_DAY:
            return f"(cast({time} as timestamp) + interval 1 day)"
        return f"cast({time} as timestamp)"

    def event_times(self, relation: Relation) -> str:
        """Return SQL of a relation's event times, as built last."""
        return f"select {self.utc(relation)} as t from {self.table(relation)}"

    def as_of(self, relation: Relation, cut: Cut) -> str:
        """Return SQL of a relation as of a cut."""
        table, time = self.table(relation), quoted(str(relation.event_time))
        is_known = f"{self.utc(relation)} <= {timestamp(cut.at)}"
        if relation.valid_to:
            until = quoted(relation.valid_to)
            is_over = f"{self._moment(relation, until)} <= {timestamp(cut.at)}"
            known = f"case when {is_over} then {until}"
            replaced = f"{known} else {relation.open_end} end as {until}"
            return f"select * replace ({replaced}) from {table} where {is_known}"
        if cut.perturbation == "withheld":
            return f"select * from {table} where {is_known}"
        if cut.perturbation == "deleted":
            return f"select * from {table} where {is_known} or hash(rowid) % 2 = 0"
        if cut.perturbation == "delayed":
            later = f"case when {is_known} then {time} else {time} + interval 1 day end"
            typed = f"cast({later} as {self.time_type(relation)})"
            return f"select * replace ({typed} as {time}) from {table}"
        return (
            "with later as (select *, row_number() over (order by hash(rowid)) as __martfeast_from,"
            f" row_number() over (order by rowid) as __martfeast_to from {table}"
            f" where not {is_known})"
            f" select * from {table} where {is_known} union all"
            f" select a.* exclude (__martfeast_from, __martfeast_to) replace (b.{time} as {time})"
            " from later a join later b on a.__martfeast_from = b.__martfeast_to"
        )
