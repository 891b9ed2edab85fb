"""Replays marts as of past moments, to show that none of their rows knew the future.

A replay at a moment T builds every relation under a mart again, in a scratch DuckDB, where each
relation with an ``event_time`` shows what was known by then: rows whose event time is at most T.
What the mart then has up to T must be what is published up to T, in every column.

What ``event_time`` says of the first relations that have one is taken as true: nothing in the data
could disprove it. Everything built on them is put to the test.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from martfeast.declaration.declared import Mart
from martfeast.engines.duckdb import literal, parquet_rows, quoted, timestamp, utc
from martfeast.problems import DeclarationError, refusal
from martfeast.replay.lineage import Lineage, Relation

DEFAULT_CUTS = 24
PERTURBATIONS = ("deleted", "delayed", "shuffled")
EXAMPLES = 3
# Sums of doubles differ in the last digits with the order of addition: relative to the value, and
# to the largest value of the column, beside which it may have been small.
TOLERANCE, COLUMN_TOLERANCE = 1e-9, 1e-13
# With fewer cuts that show something, a mart has shown too little.
NEEDED_CUTS = 3
GOLDEN_RATIO = 0.618
MICROSECOND = timedelta(microseconds=1)

Say = Callable[[str], None]


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
class Difference:
    """How a mart's rows up to a cut differ from what is published.

    compared: rows on both sides. missing: published rows that the replay lacks; extra: the reverse.
    changed: by column, rows with another value. examples: of them, as words.
    late: the relations whose later facts make the difference, each with its file.
    """

    mart: str
    cut: Cut
    compared: int
    missing: int
    extra: int
    changed: dict[str, int]
    examples: list[str]
    late: list[str] = field(default_factory=list)

    @property
    def is_none(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.extra or self.changed)


@dataclass(frozen=True)
class MartReplay:
    """What the replays of one mart showed.

    cuts: those that withheld facts under it and compared rows of it. compared, withheld: how many,
    over all cuts.
    differences: where it knew the future. problem: why nothing was shown; empty if something was.
    """

    mart: str
    unique_id: str
    cuts: int
    compared: int
    withheld: int
    differences: list[Difference]
    problem: str

    @property
    def has_passed(self) -> bool:
        """Whether the replays show that it never knew the future."""
        return not self.differences and not self.problem


@dataclass(frozen=True)
class Replay:
    """What replays showed. withheld: for each cut the facts after it, by relation."""

    cuts: list[Cut]
    withheld: list[dict[str, int]]
    marts: list[MartReplay]


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
        """Return SQL of a relation's event time: TIMESTAMP, UTC, whatever the session's zone."""
        time = quoted(str(relation.event_time))
        if "ZONE" in self.time_type(relation):
            return f"timezone('UTC', {time})"
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
            known = f"case when {until} <= {timestamp(cut.at)} then {until}"
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


def replay(
    marts: list[Mart],
    lineage: Lineage,
    project_dir: str,
    cut_count: int = DEFAULT_CUTS,
    at: Iterable[datetime] = (),
    time_zones: Iterable[str] = (),
    serving: Callable[[Scratch, Cut], dict[str, str]] | None = None,
    say: Say = lambda _: None,
) -> Replay:
    """Replay marts as of past moments, and compare them with what is published.

    Args:
        marts: marts with a published version that the present code made.
        lineage: of these marts.
        project_dir: the dbt project's folder.
        cut_count: how many moments to choose from the data.
        at: moments to replay instead, UTC.
        time_zones: IANA zones whose midnights and clock changes are among the moments.
        serving: what to compare besides, at each cut that withholds later facts. It returns what
            is wrong, by mart.
        say: is told of progress, a line at a time.

    Returns:
        What was shown. A mart has passed if at every cut its rows are those published.

    Raises:
        DeclarationError: something cannot be replayed.

    """
    scratch = Scratch(lineage, project_dir)
    scratch.build(None, set(lineage.relations))
    rebuilt = {mart.name: _compare(scratch, mart, None) for mart in marts}
    for mart in marts:
        if rebuilt[mart.name].is_none:
            say(f"rebuilt    {mart.name}: as published, {rebuilt[mart.name].compared:,} rows")
    read = {parent for relation in lineage.relations.values() for parent in relation.parents}
    timed = [r for r in lineage.relations.values() if r.event_time and r.unique_id in read]
    cuts = [Cut(utc(moment), "as asked") for moment in at]
    if not cuts:
        cuts = choose_cuts(scratch, timed, marts, cut_count, time_zones)
        perturbed = cuts[len(cuts) // 4 :: max(1, len(cuts) // 4)][: len(PERTURBATIONS)]
        cuts += [
            replace(cut, perturbation=perturbation)
            for cut, perturbation in zip(perturbed, PERTURBATIONS, strict=False)
        ]
    withheld = [_withheld(scratch, timed, cut) for cut in cuts]

    every = {mart.name: lineage.above(mart.unique_id) - {mart.unique_id} for mart in marts}
    shown: dict[str, list[tuple[int, int]]] = {mart.name: [] for mart in marts}
    differences: dict[str, list[Difference]] = {mart.name: [] for mart in marts}
    served: dict[str, str] = {}
    for number, cut in enumerate(cuts):
        later = withheld[number]
        say(f"cut {number + 1:>2}/{len(cuts)}  {cut}: {sum(later.values()):,} later facts")
        try:
            scratch.build(cut, set(lineage.relations))
        except DeclarationError:
            if cut.perturbation == "withheld":
                raise
            # Times that were moved apart may be times that a model rightly has no answer for.
            say("           cannot be built with facts perturbed like this: left out")
            for mart in marts:
                shown[mart.name].append((0, 0))
            continue
        for mart in marts:
            found = _compare(scratch, mart, cut)
            facts = sum(count for name, count in later.items() if name in every[mart.name])
            shown[mart.name].append((facts, found.compared + found.missing + found.extra))
            if not found.is_none:
                say(f"           {mart.name} differs")
                differences[mart.name].append(found)
        if serving is not None and cut.perturbation == "withheld":
            for name, problem in serving(scratch, cut).items():
                say(f"           {name} is not served as it was")
                served.setdefault(name, problem)
    results = []
    for mart in marts:
        effective = [pair for pair in shown[mart.name] if all(pair)]
        problem = ""
        if not rebuilt[mart.name].is_none:
            problem = (
                "what is published is not what the present code makes of the present data:"
                f" {_in_words(rebuilt[mart.name])}. Run `dbt build`, then replay again; if they"
                " still differ, rows of an incremental model are older than its code"
                " (`dbt build --full-refresh`), a hook changes them, or the model is not"
                " deterministic"
            )
        elif differences[mart.name]:
            say(f"source     {mart.name}: looking for what makes it differ")
            first = differences[mart.name][0]
            differences[mart.name][0] = replace(first, late=_find_late(scratch, mart, first.cut))
        elif not rebuilt[mart.name].compared:
            problem = "it has no rows, so nothing is shown. Load data, then run `dbt build`"
        elif not cuts or len(effective) < min(len(cuts), NEEDED_CUTS):
            problem = _vacuous(cuts, shown[mart.name])
        else:
            problem = served.get(mart.name, "")
        results.append(
            MartReplay(
                mart.name,
                mart.unique_id,
                len(effective),
                sum(rows for _, rows in effective),
                sum(facts for facts, _ in effective),
                [] if problem else differences[mart.name],
                problem,
            )
        )
    named = [{lineage.relations[r].name: n for r, n in later.items()} for later in withheld]
    return Replay(cuts, named, results)


def _vacuous(cuts: list[Cut], shown: list[tuple[int, int]]) -> str:
    """Return why cuts showed too little of a mart, from the facts withheld and rows compared."""
    if not cuts or not any(facts for facts, _ in shown):
        return (
            "no cut withheld anything under it, so nothing is shown. Set event_time on what it is"
            " built on, or choose earlier cuts"
        )
    if not any(rows for _, rows in shown):
        return "it has no rows up to any cut, so nothing is shown. Choose later cuts"
    effective = sum(all(pair) for pair in shown)
    return (
        f"only {effective} of {len(cuts)} cuts withheld facts and compared rows, which shows too"
        " little. Choose cuts within the time that its facts cover"
    )


def _withheld(scratch: Scratch, timed: list[Relation], cut: Cut) -> dict[str, int]:
    """Count the facts after a cut, by the relation's unique_id, in the build without a cut."""
    sql = " union all ".join(
        f"select count(*) from ({scratch.event_times(relation)}) where t > {timestamp(cut.at)}"
        for relation in timed
    )
    rows = scratch.connection.execute(sql).fetchall() if sql else []
    return {relation.unique_id: row[0] for relation, row in zip(timed, rows, strict=True)}


def _find_late(scratch: Scratch, mart: Mart, cut: Cut) -> list[str]:
    """Return the relations whose later facts, cut alone, change the mart up to the cut."""
    lineage = scratch.lineage
    above = lineage.above(mart.unique_id)
    found = []
    for relation in lineage.relations.values():
        if relation.unique_id in above - {mart.unique_id} and relation.event_time:
            scratch.build(cut, above, {relation.unique_id})
            if not _compare(scratch, mart, cut).is_none:
                found.append(f"{relation.name} ({relation.file}{_without_time(scratch, relation)})")
    return found


def _without_time(scratch: Scratch, relation: Relation) -> str:
    sql = f"select count(*) from ({scratch.event_times(relation)}) where t is null"
    count = scratch.connection.execute(sql).fetchall()[0][0]
    if not count:
        return ""
    return f", of which {count:,} rows have no {relation.event_time} and so were never known"


def choose_cuts(
    scratch: Scratch,
    timed: list[Relation],
    marts: list[Mart],
    count: int,
    time_zones: Iterable[str],
) -> list[Cut]:
    """Choose moments spread over the data at which the future is most likely to show.

    Half of them are at a row of each relation in turn, or just before it, so that what is pending
    there is withheld; the others inside hours, at midnights, at the ends of months, where clocks
    change.
    """
    spans = [span for mart in marts if (span := _span(scratch, mart))]
    if not spans or not timed:
        return []
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    latest = [_fact(scratch, relation, 1.0, 0.0, [], 0) for relation in timed]
    last = min(last, max([at for at in latest if at], default=last))
    zones = [ZoneInfo(name) for name in time_zones] or [ZoneInfo("UTC")]
    changes = list(_clock_changes(first, last, zones))
    keys = sorted({name for mart in marts for name in mart.entity_columns})
    cuts: dict[datetime, Cut] = {}
    for number in range(count):
        half = number // 2
        # Spread over the days as well: whole steps through a year all end near midnight.
        about = first + (last - first) * (number + 0.5) / count
        about += timedelta(days=number * GOLDEN_RATIO % 1)
        at, reason = about, "spread over the data"
        if number % 2 == 0:
            relation = timed[half % len(timed)]
            rounds = -(-count // 2 // len(timed)) or 1
            share = (half // len(timed) + (half % len(timed) + 1) / (len(timed) + 1)) / rounds
            turn = half // len(timed)
            at = _fact(scratch, relation, share, 0.5 / rounds, keys, turn) or about
            reason = f"at a row of {relation.name}"
            if half % 3 < 2:
                at, reason = at - MICROSECOND, f"just before a row of {relation.name}"
        elif half % 3 == 0:
            zone = zones[half // 3 % len(zones)]
            local = about.replace(tzinfo=UTC).astimezone(zone)
            at = utc(local.replace(hour=0, minute=0, second=0, microsecond=0))
            reason = f"midnight, {zone}"
        elif half % 3 == 1 and changes:
            at, reason = changes.pop(0), "clocks change"
        elif half % 3 == 1:
            at, reason = about.replace(minute=29, second=31, microsecond=0), "inside an hour"
        else:
            month = about.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            at, reason = month - MICROSECOND, "the end of a month"
        if not first <= at < last:
            at, reason = min(about, last - MICROSECOND), "spread over the data"
        cuts.setdefault(at, Cut(at, reason))
    return [cuts[at] for at in sorted(cuts)]


def _span(scratch: Scratch, mart: Mart) -> tuple[datetime, datetime] | None:
    """Return a mart's first and last moment, or when its last label was known; None if empty."""
    times = [quoted(mart.timestamp)]
    if mart.label is not None:
        times.append(quoted(mart.label.known_at))
    start, end = scratch.connection.execute(
        f"select min({times[0]}), greatest({', '.join(f'max({time})' for time in times)})"
        f" from {parquet_rows(mart.path)}"
    ).fetchall()[0]
    return None if start is None else (start, end)


def _fact(
    scratch: Scratch, relation: Relation, share: float, width: float, keys: list[str], turn: int
) -> datetime | None:
    """Return the event time of a row that came soon after another with the same key.

    A mart that looks ahead only a little shows it between two such rows.

    Args:
        scratch: with the whole relation.
        relation: whose rows.
        share: of its rows come before, about.
        width: the share of its rows to choose from.
        keys: names of entity columns.
        turn: which of the relation's keys to take; without any, of the columns that repeat.

    """
    run = scratch.connection.execute
    time, table = scratch.utc(relation), scratch.table(relation)
    described = run(f"describe {table}").fetchall()
    same = [quoted(name) for name, *_ in described if name in keys]
    if not same:
        names = [
            quoted(n) for n, type_, *_ in described if type_ in ("VARCHAR", "BIGINT", "INTEGER")
        ]
        counts = ", ".join(f"approx_count_distinct({name})" for name in names)
        total, *distinct = run(
            f"select count(*){', ' * bool(names)}{counts} from {table}"
        ).fetchall()[0]
        same = [n for n, count in zip(names, distinct, strict=True) if 1 < count <= total / 20]
    partition = f"partition by {same[turn % len(same)]}" if same else ""
    low, high = max(0.0, share - width / 2), min(1.0, share + width / 2)
    sql = (
        f"with bounds as (select quantile_disc({time}, {low}) as low,"
        f" quantile_disc({time}, {high}) as high from {table}),"
        f" timed as (select {time} as t, {time} - lag({time}) over ({partition} order by {time})"
        f" as gap from {table}, bounds where {time} between low and high)"
        " select t from timed order by gap > interval 0 second desc nulls last, gap, t limit 1"
    )
    rows = run(sql).fetchall()
    return rows[0][0] if rows else None


def _clock_changes(first: datetime, last: datetime, zones: list[ZoneInfo]) -> Iterator[datetime]:
    """Yield a moment in each hour before which a zone's clocks were changed, UTC."""
    for zone in zones:
        at = first.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
        while at.replace(tzinfo=None) < last:
            after = at + timedelta(hours=1)
            if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                yield utc(after) + timedelta(minutes=30)
            at = after


def typed_columns(mart: Mart) -> str:
    """Return SQL of a mart's own columns, cast to the types of its contract."""
    return ", ".join(
        f"cast({quoted(column.name)} as {column.data_type}) as {quoted(column.name)}"
        for column in mart.columns
        if column.name != mart.created
    )


def _compare(scratch: Scratch, mart: Mart, cut: Cut | None) -> Difference:
    """Compare a mart, as built last, with what is published of it, up to a cut."""
    relation = scratch.lineage.relations[mart.unique_id]
    time = quoted(mart.timestamp)
    up_to = f"{time} <= {timestamp(cut.at)}" if cut else "true"
    columns = [column.name for column in mart.columns if column.name != mart.created]
    names = ", ".join(map(quoted, columns))
    then = f"select {typed_columns(mart)} from {scratch.table(relation)} where {up_to}"
    today = f"select {names} from {parquet_rows(mart.path)} where {up_to}"
    if mart.label is not None and cut is not None:
        today = _labels_known_by(mart, columns, cut, today)
        is_withheld = cut.perturbation == "withheld"
        then = _labels_known_by(mart, columns, cut, then, only_reasons=is_withheld)
    run = scratch.connection.execute
    digest = f"count(*), sum(hash({names})::hugeint)"
    (then_rows, then_hash), (today_rows, today_hash) = (
        run(f"select {digest} from ({rows})").fetchall()[0] for rows in (then, today)
    )
    cut = cut or Cut(datetime.max, "everything")
    if (then_rows, then_hash) == (today_rows, today_hash):
        return Difference(mart.name, cut, today_rows, 0, 0, {}, [])
    return _differences(run, mart, cut, columns, then, today)


def _labels_known_by(
    mart: Mart, columns: list[str], cut: Cut, rows: str, only_reasons: bool = False
) -> str:
    """Return SQL of label rows with what was known of the labels by a cut.

    only_reasons: leave label and time as they are, so that one that is there too early shows.
    """
    assert mart.label is not None
    known = f"{quoted(mart.label.known_at)} <= {timestamp(cut.at)}"
    hidden = [] if only_reasons else [mart.label.column, mart.label.known_at]
    if mart.label.missing_reason:  # before a label is known there is another reason, or none
        hidden.append(mart.label.missing_reason)
    selected = ", ".join(
        f"case when {known} then {quoted(name)} end as {quoted(name)}"
        if name in hidden
        else quoted(name)
        for name in columns
    )
    return f"select {selected} from ({rows})"


def _differences(
    run: Callable[[str], Any], mart: Mart, cut: Cut, columns: list[str], then: str, today: str
) -> Difference:
    keys = [*mart.entity_columns, mart.timestamp]
    on = " and ".join(f"today.{quoted(k)} is not distinct from replay.{quoted(k)}" for k in keys)
    doubles = {c.name for c in mart.columns if c.data_type.lower() in ("double", "float", "real")}
    others = [name for name in columns if name not in keys]
    flags = []
    for name in others:
        a, b = f"today.{quoted(name)}", f"replay.{quoted(name)}"
        differs = f"{a} is distinct from {b}"
        if name in doubles:
            near = (
                f"abs({a} - {b}) <= greatest({TOLERANCE} * abs({a}),"
                f" {COLUMN_TOLERANCE} * max(abs({a})) over ())"
            )
            differs = f"{differs} and coalesce(not {near}, true)"
        flags.append(f"is_in_both and {differs}")
    pairs = ", ".join(
        [
            *(
                f"coalesce(today.{quoted(k)}, replay.{quoted(k)}) as key_{n}"
                for n, k in enumerate(keys)
            ),
            *(f"today.{quoted(c)} as today_{n}" for n, c in enumerate(others)),
            *(f"replay.{quoted(c)} as replay_{n}" for n, c in enumerate(others)),
            *(f"{flag} as differs_{n}" for n, flag in enumerate(flags)),
        ]
    )
    run(
        "create or replace temp table pairs as select today.is_row and replay.is_row as is_in_both,"
        f" today.is_row as is_today, replay.is_row as is_replayed, {pairs}"
        f" from (select *, true as is_row from ({today})) as today"
        f" full join (select *, true as is_row from ({then})) as replay on {on}"
    )
    counts = ", ".join(f"count(*) filter (differs_{n})" for n in range(len(others)))
    both, missing, extra, *changed = run(
        "select count(*) filter (is_in_both), count(*) filter (is_replayed is null),"
        f" count(*) filter (is_today is null){', ' * bool(others)}{counts} from pairs"
    ).fetchall()[0]
    by_column = {name: n for name, n in zip(others, changed, strict=True) if n}
    examples = []
    key_names = ", ".join(f"key_{n}" for n in range(len(keys)))
    for condition, words in (
        ("is_replayed is null", "is published, and could not be known"),
        ("is_today is null", "was known, and is not published"),
    ):
        sql = f"select {key_names} from pairs where {condition} order by all limit {EXAMPLES}"
        examples += [f"{_row(keys, row)} {words}" for row in run(sql).fetchall()]
    for name in by_column:
        n = others.index(name)
        sql = (
            f"select {key_names}, today_{n}, replay_{n} from pairs where differs_{n}"
            f" order by key_{len(keys) - 1} limit {EXAMPLES}"
        )
        examples += [
            f"{_row(keys, row)}: {name} is {row[-2]}, and was {row[-1]}"
            for row in run(sql).fetchall()
        ]
    return Difference(mart.name, cut, both, missing, extra, by_column, examples)


def _row(keys: list[str], values: tuple[Any, ...]) -> str:
    return ", ".join(f"{key} {value}" for key, value in zip(keys, values, strict=False))


def _in_words(difference: Difference) -> str:
    parts = [f"{difference.missing} rows missing"] * bool(difference.missing)
    parts += [f"{difference.extra} rows extra"] * bool(difference.extra)
    parts += [f"{name} changed in {n} rows" for name, n in difference.changed.items()]
    return "; ".join(parts)
