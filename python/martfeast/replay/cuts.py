"""Chooses the past moments at which the future is most likely to show."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.engines.duckdb import parquet_rows, quoted, timestamp, utc
from martfeast.replay.lineage import Relation
from martfeast.replay.scratch import Cut, Scratch

PERTURBATIONS = ("deleted", "delayed", "shuffled")
GOLDEN_RATIO = 0.618
MICROSECOND = timedelta(microseconds=1)
# Moments that Python has, in any time zone; what is stamped outside is no place for a cut.
EARLIEST, LATEST = "timestamp '0001-01-03'", "timestamp '9999-12-29'"


@dataclass(frozen=True)
class Reach:
    """Where cuts can show something of a mart: from its first row on, before the last fact.

    relations: what it is made of that has an event_time. first: of its rows; last: of the facts
    under it; UTC, None where there are none. moments: how many moments of its rows and facts are in
    between, at most as many as cuts were asked for: as of any other, it looks as at one of these.
    table: of these moments, with whether rows of the mart are stamped then.
    """

    mart: Mart
    relations: list[Relation]
    first: datetime | None
    last: datetime | None
    moments: int
    table: str

    def holds(self, at: datetime) -> bool:
        """Whether a cut leaves rows of the mart and withholds facts under it."""
        return self.first is not None and self.last is not None and self.first <= at < self.last

    def quantiles(self, scratch: Scratch, shares: list[float], where: str) -> list[datetime]:
        """Return the moments before which there are given shares of them."""
        sql = f"select quantile_disc(t, {shares}) from {self.table} where {where}"
        return list(scratch.connection.execute(sql).fetchall()[0][0] or [])


def find_reaches(
    scratch: Scratch, timed: list[Relation], marts: list[Mart], count: int
) -> list[Reach]:
    """Return where cuts can show something of each mart, in the build without a cut.

    Args:
        scratch: with the whole relations.
        timed: relations with an event_time.
        marts: with a published version.
        count: how many cuts are asked for.

    """
    return [
        _reach(scratch, timed, mart, f"moments_{number}", count)
        for number, mart in enumerate(marts)
    ]


def _reach(scratch: Scratch, timed: list[Relation], mart: Mart, table: str, count: int) -> Reach:
    under = scratch.lineage.above(mart.unique_id) - {mart.unique_id}
    relations = [relation for relation in timed if relation.unique_id in under]
    facts = " union all ".join(map(scratch.event_times, relations)) or "select null::timestamp as t"
    stamped = [quoted(mart.timestamp)]
    if isinstance(mart, LabelMart):
        stamped.append(quoted(mart.label.known_at))
    rows = " union all ".join(
        f"select {column}::timestamp as t from {parquet_rows(mart.path)}" for column in stamped
    )
    run = scratch.connection.execute
    ((first, last),) = run(
        f"select (select greatest(min({stamped[0]}), {EARLIEST}) from {parquet_rows(mart.path)}),"
        f" (select least(max(t), {LATEST}) from ({facts}))"
    ).fetchall()
    if first is None or last is None:
        return Reach(mart, relations, first, last, 0, table)
    run(
        f"create or replace temp table {table} as select t, bool_or(is_row) as is_row from ("
        f"select t, false as is_row from ({facts}) union all select t, true from ({rows}))"
        f" where t >= {timestamp(first)} and t < {timestamp(last)} group by t"
    )
    moments = run(f"select count(*) from {table}").fetchall()[0][0]
    return Reach(mart, relations, first, last, min(moments, count), table)


def choose_cuts(
    scratch: Scratch, reaches: list[Reach], count: int, time_zones: Iterable[str]
) -> list[Cut]:
    """Choose moments at which the future is most likely to show, enough of them for every mart.

    Half of the first are at a row of each relation in turn, or just before it, so that what is
    pending there is withheld; the others inside hours, at midnights, at the ends of months, where
    clocks change. Then each mart gets what it lacks: where its rows and facts are and not what
    another's span, so that odd dates of one take nothing from the others.
    """
    zones = [ZoneInfo(name) for name in time_zones] or [ZoneInfo("UTC")]
    shown = [reach for reach in reaches if reach.moments]
    cuts: dict[datetime, Cut] = {}
    if shown:
        for cut in _special_cuts(scratch, shown, count, zones):
            cuts.setdefault(cut.at, cut)
    for reach in shown:
        for at in _lacking(scratch, reach, list(cuts), count):
            cuts[at] = Cut(at, f"where {reach.mart.name} has rows or facts")
    for reach in reaches:
        if reach.first and reach.last and not reach.moments:  # at least no row may be there before
            at = reach.last - MICROSECOND
            cuts.setdefault(at, Cut(at, f"just before the last fact under {reach.mart.name}"))
    return [cuts[at] for at in sorted(cuts)]


def _special_cuts(
    scratch: Scratch, reaches: list[Reach], count: int, zones: list[ZoneInfo]
) -> Iterator[Cut]:
    relations = {one.unique_id: one for reach in reaches for one in reach.relations}
    timed = [one for name, one in relations.items() if name in scratch.number]
    changes = {reach.mart.name: _clock_changes(scratch, reach, zones) for reach in reaches}
    keys = sorted({name for reach in reaches for name in reach.mart.entity_columns})
    rounds = -(-count // 2 // len(timed)) or 1
    for number in range(count):
        half = number // 2
        if number % 2 == 0:
            turn, place = divmod(half, len(timed))
            relation = timed[place]
            above = [reach for reach in reaches if relation in reach.relations]
            share = (turn + (place + 1) / (len(timed) + 1)) / rounds
            at = _fact(scratch, relation, above, share, 0.5 / rounds, keys, turn)
            if at is not None:
                reason = f"at a row of {relation.name}"
                if half % 3 < 2:
                    at, reason = at - MICROSECOND, f"just before a row of {relation.name}"
                if any(reach.holds(at) for reach in above):
                    yield Cut(at, reason)
            continue
        reach = reaches[half % len(reaches)]
        about = next(iter(reach.quantiles(scratch, [(number + 0.5) / count], "is_row")), None)
        if about is None:  # a mart without rows
            continue
        zone = zones[half // 3 % len(zones)]
        at, reason = about.replace(minute=29, second=31, microsecond=0), "inside an hour"
        if half % 3 == 0:
            local = about.replace(tzinfo=UTC).astimezone(zone)
            at = utc(local.replace(hour=0, minute=0, second=0, microsecond=0))
            reason = f"midnight, {zone}"
        elif half % 3 == 1 and changes[reach.mart.name]:
            at, reason = changes[reach.mart.name][0], "clocks change"
            # Marts have the same changes; one that is a cut already leaves room for another moment.
            changes = {name: [t for t in times if t != at] for name, times in changes.items()}
        elif half % 3 == 2:
            month = about.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            at, reason = month - MICROSECOND, "the end of a month"
        if reach.holds(at):
            yield Cut(at, reason)


def _lacking(scratch: Scratch, reach: Reach, cuts: list[datetime], count: int) -> list[datetime]:
    """Return the cuts that a mart lacks: every moment that it has, or else as many as asked for."""
    if reach.moments < count:
        sql = f"select t, lead(t, 1, {LATEST}) over (order by t) from {reach.table} order by t"
        moments = scratch.connection.execute(sql).fetchall()
        return [
            at
            for at, after in moments
            if not any(at <= cut < after and reach.holds(cut) for cut in cuts)
        ]
    lacking = count - sum(map(reach.holds, cuts))
    if lacking <= 0:
        return []
    size = 4 * count
    spread = reach.quantiles(scratch, [(n + 0.5) / size for n in range(size)], "true")
    if not spread:
        return []
    # In an order in which any first few of them are spread over all.
    order = sorted(range(size), key=lambda n: n * GOLDEN_RATIO % 1)
    chosen = dict.fromkeys(spread[n] for n in order if spread[n] not in cuts)
    return list(chosen)[:lacking]


def perturbed(cuts: list[Cut]) -> list[Cut]:
    """Return cuts, and a few of them again with later facts deleted, delayed or shuffled."""
    chosen = cuts[len(cuts) // 4 :: max(1, len(cuts) // 4)][: len(PERTURBATIONS)]
    again = [
        replace(cut, perturbation=perturbation)
        for cut, perturbation in zip(chosen, PERTURBATIONS, strict=False)
    ]
    return cuts + again


def _fact(
    scratch: Scratch,
    relation: Relation,
    above: list[Reach],
    share: float,
    width: float,
    keys: list[str],
    turn: int,
) -> datetime | None:
    """Return the event time of a row that came soon after another with the same key.

    A mart that looks ahead only a little shows it between two such rows.

    Args:
        scratch: with the whole relation.
        relation: whose rows.
        above: of the marts that are made of it; only rows within one of these count.
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
    first = min(reach.first for reach in above if reach.first)
    last = max(reach.last for reach in above if reach.last)
    within = f"(from {table} where {time} between {timestamp(first)} and {timestamp(last)})"
    low, high = max(0.0, share - width / 2), min(1.0, share + width / 2)
    sql = (
        f"with bounds as (select quantile_disc({time}, {low}) as low,"
        f" quantile_disc({time}, {high}) as high from {within}),"
        f" timed as (select {time} as t, {time} - lag({time}) over ({partition} order by {time})"
        f" as gap from {within}, bounds where {time} between low and high)"
        " select t from timed order by gap > interval 0 second desc nulls last, gap, t limit 1"
    )
    rows = run(sql).fetchall()
    return rows[0][0] if rows else None


def _clock_changes(scratch: Scratch, reach: Reach, zones: list[ZoneInfo]) -> list[datetime]:
    """Return a moment in each hour before which a zone's clocks were changed, UTC.

    Only days on which the mart has rows are looked at: its span may be thousands of years.
    """
    sql = f"select distinct date_trunc('day', t)::timestamp from {reach.table} where is_row"
    found = []
    for (day,) in scratch.connection.execute(f"{sql} order by 1").fetchall():
        for zone in zones:
            hours = [day.replace(tzinfo=UTC) + timedelta(hours=n) for n in range(25)]
            offsets = [hour.astimezone(zone).utcoffset() for hour in (hours[0], hours[-1])]
            if offsets[0] != offsets[1]:
                found += [
                    utc(after) + timedelta(minutes=30)
                    for before, after in pairwise(hours)
                    if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
                ]
    return [at for at in found if reach.holds(at)]
