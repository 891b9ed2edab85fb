"""The database in which a lineage is built again as of a cut; the warehouse is only read."""

import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from martfeast.causes import Cause
from martfeast.engines.duckdb import copy_to_parquet, literal, parquet_rows, quoted, timestamp
from martfeast.engines.engine import Engine
from martfeast.files import temporary_folder, wait_for_database
from martfeast.problems import DeclarationError, Problem, refusal
from martfeast.replay.declared_time import END_OF_DAY
from martfeast.replay.lineage import Lineage, Relation
from martfeast.replay.plan import Plan, read_plan

# What the machine lacks, and no relation is to blame for.
MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException)


def out_of_room(error: Exception) -> DeclarationError:
    """Return the error of a replay that the machine has no room for."""
    return refusal(
        "replay",
        "no-room",
        f"It cannot go on: {str(error).splitlines()[0].rstrip('.')}. Nothing is recorded.",
        f"Make room in {tempfile.gettempdir()}, or name another folder in TMPDIR.",
        cause=Cause.INFRASTRUCTURE,
    )


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


@dataclass(frozen=True)
class Run:
    """A dbt command that was to build relations of a lineage, by the evidence in the warehouse.

    invocation: dbt's id of it. command: dbt's. began: UTC. has_ended: whether it came to its end.
    relations: what it was to build, as SQL.
    """

    invocation: str
    command: str
    began: datetime
    has_ended: bool
    relations: frozenset[str]

    def __str__(self) -> str:
        how = "" if self.has_ended else ", which was cut off"
        return f"`dbt {self.command}` of {self.began:%Y-%m-%d %H:%M:%S} UTC{how}"


class _Unbuilt(Exception):
    """A relation cannot be built; ``problem`` says why."""

    def __init__(self, relation: Relation, rule: str, message: str, fix: str) -> None:
        self.problem = Problem(relation.name, rule, message, fix, relation.file)
        super().__init__(message)


class Scratch:
    """A DuckDB in memory in which a lineage is built again; the warehouse is only read.

    It is read once, while nobody can write to it. runs: what dbt had run in it then, the newest
    first; None where nothing is read from it, or it does not say.
    failed: why a relation, or what it is made of, could not be built last, by unique_id.
    plans: of the relations that were made of SQL, by unique_id.
    """

    def __init__(self, lineage: Lineage, engine: Engine | None = None) -> None:
        """Read the warehouse. engine: what makes relations; by default this database itself.

        Relative paths of files are those of the working directory, which is to be the project's.
        """
        self.lineage = lineage
        self.engine = engine
        self.connection = duckdb.connect()
        self.spill = temporary_folder("replay")
        self.connection.execute(f"set temp_directory = {literal(self.spill.name)}")
        for name, value in lineage.settings.items():
            self.connection.execute(f"set {name} = {literal(str(value))}")
        # Its own first database would have the name that dbt's has if that is called memory.
        self.connection.execute("attach ':memory:' as replayed")
        self.connection.execute("use replayed")
        self.connection.execute("detach memory")
        self.runs: list[Run] | None = None
        self.time_types: dict[str, str] = {}
        self.number = {name: index for index, name in enumerate(lineage.relations)}
        self.names = {f"r{index}": name for name, index in self.number.items()}
        self.plans: dict[str, Plan] = {}
        self.failed: dict[str, Problem] = dict(lineage.refused)
        self._read_warehouse()
        self.shared = self._build_shared()
        self._never = dict(self.failed)

    def table(self, relation: Relation) -> str:
        """Return SQL of the whole relation, before any cut."""
        return f"replayed.main.r{self.number[relation.unique_id]}"

    def _read_warehouse(self) -> None:
        """Read what dbt does not make from SQL, once; then let nothing be known by dbt's names."""
        relations = self.lineage.relations.values()
        read = [
            one for one in relations if one.made_by is None and one.unique_id not in self.failed
        ]
        is_needed = any(one.location is None for one in read)
        attached = {
            name: self._attach(name, sql) if is_needed else "it is not attached"
            for name, sql in self.lineage.databases.items()
        }
        for relation in read:
            for name, reason in attached.items():
                if reason and not relation.location and relation.sql.startswith(f"{quoted(name)}."):
                    raise refusal(
                        relation.name,
                        "not-replayable",
                        f"Its database {name} cannot be read: {reason}.",
                        "If dbt is running, try again when it is done.",
                        cause=Cause.INFRASTRUCTURE,
                    )
            try:
                self._make(relation)
            except _Unbuilt as error:
                self.failed[relation.unique_id] = error.problem
        self.runs = self._read_runs()
        for name, reason in attached.items():
            if not reason:
                self.connection.execute(f"detach {quoted(name)}")
            self.connection.execute(f"attach ':memory:' as {quoted(name)}")

    def _attach(self, name: str, sql: str) -> str:
        """Attach a database; return why that cannot be done, or an empty text."""
        try:
            self.connection.execute(sql)
        except duckdb.Error as error:
            if wait_for_database(str(error)):
                return self._attach(name, sql)
            return str(error).splitlines()[0].rstrip(".")
        return ""

    def _read_runs(self) -> list[Run] | None:
        invocations, completions = self.lineage.evidence
        try:
            rows = self.connection.execute(
                "select invocation_id, command, started_at,"
                f" invocation_id in (select invocation_id from {completions}),"
                f" selected_relations from {invocations} order by invocation_number desc"
            ).fetchall()
        except duckdb.Error:
            return None
        return [
            Run(invocation, command, began, has_ended, frozenset(relations or []))
            for invocation, command, began, has_ended, relations in rows
        ]

    def _build_shared(self) -> set[str]:
        """Build what no cut changes, once; return its unique_ids."""
        shared: set[str] = set()
        for relation in self.lineage.relations.values():
            schema = relation.sql.rsplit(".", 1)[0]
            self.connection.execute(f"create schema if not exists {schema}")
            parents = [self.lineage.relations[parent] for parent in relation.parents]
            is_still = all(p.unique_id in shared and not p.event_time for p in parents)
            if relation.made_by is None or is_still:
                shared.add(relation.unique_id)
                self._build(relation, None, is_made=relation.made_by is None)
        return shared

    def _build(self, relation: Relation, cut: Cut | None, is_made: bool) -> None:
        """Build a relation, unless what it is made of failed, and let its name show it."""
        above = next((self.failed[one] for one in relation.parents if one in self.failed), None)
        if above is not None:
            self.failed.setdefault(relation.unique_id, above)
        if relation.unique_id in self.failed:
            return
        try:
            if not is_made:
                self._make(relation)
            self._show(relation, cut)
        except _Unbuilt as error:
            self.failed[relation.unique_id] = error.problem

    def _make(self, relation: Relation) -> None:
        rows = relation.made_by or f"from {relation.location or relation.sql}"
        if relation.made_by is not None and self.engine is not None:
            rows = self._made_by_engine(relation, self.engine)
        try:
            self.connection.execute(f"create or replace table {self.table(relation)} as {rows}")
        except duckdb.Error as error:
            if isinstance(error, MACHINE) and not re.search("[Nn]o files found", str(error)):
                raise out_of_room(error) from error
            raise _Unbuilt(
                relation,
                "not-replayable",
                f"A replay cannot build it: {str(error).splitlines()[0].rstrip('.')}.",
                "Run `dbt build`; it says more if the model is at fault.",
            ) from None
        if relation.made_by is not None and relation.unique_id not in self.plans:
            plan = read_plan(self.connection, relation.made_by, self.names)
            self.plans[relation.unique_id] = plan

    def _made_by_engine(self, relation: Relation, engine: Engine) -> str:
        """Let an engine make a relation of what its parents show; return SQL of the rows."""
        folder = Path(tempfile.mkdtemp(dir=self.spill.name))
        inputs = {}
        for number, name in enumerate(relation.parents):
            parent = self.lineage.relations[name]
            path = inputs[self.lineage.called(name)] = folder / f"{number}.parquet"
            copy_to_parquet(self.connection, f"select * from {parent.sql}", path)
        try:
            engine.make(self.lineage.select_of(relation.unique_id), inputs, folder / "made")
        except DeclarationError as error:
            first = error.problems[0]
            raise _Unbuilt(relation, "not-replayable", first.message, first.fix) from None
        return f"from {parquet_rows(folder / 'made')}"

    def _show(self, relation: Relation, cut: Cut | None) -> None:
        """Let the relation's own name show what is known of it."""
        rows = f"select * from {self.table(relation)}"
        if relation.event_time:
            self.time_type(relation)  # a column that is no time is told before any cut
        if cut is not None and relation.event_time:
            rows = self.as_of(relation, cut)
        self.connection.execute(f"create or replace view {relation.sql} as {rows}")

    def build(
        self, cut: Cut | None, wanted: set[str], cut_relations: set[str] | None = None
    ) -> None:
        """Build relations again as of a cut; ``failed`` then has what could not be built.

        Args:
            cut: the moment; None for no cut.
            wanted: unique_ids of what to build, with all that it is made of.
            cut_relations: the relations whose later facts are cut; by default all.

        """
        self.failed = dict(self._never)
        for relation in self.lineage.relations.values():
            if relation.unique_id not in wanted:
                continue
            for name in relation.parents:  # another relation may have the name of this one
                if name in self.lineage.namesakes and name not in self.failed:
                    parent = self.lineage.relations[name]
                    self._show(parent, self._cut_of(parent, cut, cut_relations))
            is_made = relation.unique_id in self.shared
            self._build(relation, self._cut_of(relation, cut, cut_relations), is_made)
        if cut is None:  # what cannot be built of everything is not tried again
            self._never = dict(self.failed)

    def _cut_of(
        self, relation: Relation, cut: Cut | None, cut_relations: set[str] | None
    ) -> Cut | None:
        return cut if cut_relations is None or relation.unique_id in cut_relations else None

    def time_type(self, relation: Relation) -> str:
        """Return the type of a relation's event time, which must be a time."""
        if relation.unique_id not in self.time_types:
            described = self.connection.execute(f"describe {self.table(relation)}").fetchall()
            types = {row[0].lower(): row[1] for row in described}
            type_ = types.get(str(relation.event_time).lower(), "not a column")
            if not type_.startswith(("TIMESTAMP", "DATE")):
                raise _Unbuilt(
                    relation,
                    "event-time-unusable",
                    f"Its event_time is {relation.event_time}, which is {type_}.",
                    "Name a column that is a timestamp or a date.",
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
        if type_ == "DATE" and relation.declared.date_known_at == END_OF_DAY:
            return f"(cast({time} as timestamp) + interval 1 day)"
        return f"cast({time} as timestamp)"

    def event_times(self, relation: Relation) -> str:
        """Return SQL of a relation's event times, as built last."""
        return f"select {self.utc(relation)} as t from {self.table(relation)}"

    def as_of(self, relation: Relation, cut: Cut) -> str:
        """Return SQL of a relation as of a cut."""
        table, time = self.table(relation), quoted(str(relation.event_time))
        is_known = f"{self.utc(relation)} <= {timestamp(cut.at)}"
        if relation.validity:
            until = quoted(relation.validity.column)
            is_over = f"{self._moment(relation, until)} <= {timestamp(cut.at)}"
            known = f"case when {is_over} then {until}"
            replaced = f"{known} else {relation.validity.open_end} end as {until}"
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
