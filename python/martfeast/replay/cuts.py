"""Chooses the past moments at which the future is most likely to show."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.engines.duckdb import parquet_rows, quoted, utc
from martfeast.replay.lineage import Relation
from martfeast.replay.scratch import Cut, Scratch

PERTURBATIONS = ("deleted", "delayed", "shuffled")
GOLDEN_RATIO = 0.618
MICROSECOND = timedelta(microseconds=1)


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


def perturbed(cuts: list[Cut]) -> list[Cut]:
    """Return cuts, and a few of them again with later facts deleted, delayed or shuffled."""
    chosen = cuts[len(cuts) // 4 :: max(1, len(cuts) // 4)][: len(PERTURBATIONS)]
    again = [
        replace(cut, perturbation=perturbation)
        for cut, perturbation in zip(chosen, PERTURBATIONS, strict=False)
    ]
    return cuts + again


def _span(scratch: Scratch, mart: Mart) -> tuple[datetime, datetime] | None:
    """Return a mart's first and last moment, or when its last label was known; None if empty."""
    times = [quoted(mart.timestamp)]
    if isinstance(mart, LabelMart):
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
