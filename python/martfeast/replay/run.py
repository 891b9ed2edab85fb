"""Replays marts as of past moments, to show that none of their rows knew the future.

A replay at a moment T builds every relation under a mart again, in a scratch DuckDB, where each
relation with an ``event_time`` shows what was known by then: rows whose event time is at most T.
What the mart then has up to T must be what is published up to T, in every column.

What ``event_time`` says of sources, seeds and snapshots is taken as true: nothing in the data could
disprove it. So is that of a model under which nothing says when it was known, if each of its rows
is made of one. Everything built on them is put to the test.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from martfeast.declaration.declared import Mart
from martfeast.engines.duckdb import timestamp, utc
from martfeast.problems import Problem
from martfeast.published.replays import DEFAULT_CUTS, FEWEST_CUTS
from martfeast.replay.compare import Difference, compare, in_words
from martfeast.replay.cuts import Reach, choose_cuts, find_reaches, perturbed
from martfeast.replay.lineage import Lineage, Relation
from martfeast.replay.plan import Plan
from martfeast.replay.scratch import Cut, Scratch

Say = Callable[[str], None]
Serving = Callable[[Scratch, Cut, set[str]], dict[str, str]]


@dataclass(frozen=True)
class MartReplay:
    """What the replays of one mart showed.

    cuts: moments that withheld facts under it and compared rows of it. enough: how many it takes.
    compared, withheld: how many rows and facts, over all cuts.
    differences: where it knew the future. problem: why nothing was shown; empty if something was.
    is_as_published: whether, of all that is there, the same rows were built as are published.
    is_of_release: whether the warehouse has, as far as it says, the rows that were published.
    due: why no cut can show anything yet, where its rows could not know the future at all.
    """

    mart: str
    unique_id: str
    cuts: int
    enough: int
    compared: int
    withheld: int
    differences: list[Difference]
    problem: str
    due: str = ""
    is_as_published: bool = True
    is_of_release: bool = True

    @property
    def has_passed(self) -> bool:
        """Whether the replays show that it never knew the future."""
        return not self.differences and not self.problem


@dataclass(frozen=True)
class Replay:
    """What replays showed.

    withheld: for each cut the facts after it, by relation. plans: of the SQL of what was built, by
    unique_id.
    """

    cuts: list[Cut]
    withheld: list[dict[str, int]]
    plans: dict[str, Plan]
    marts: list[MartReplay]


def replay(
    marts: list[Mart],
    scratch: Scratch,
    cut_count: int = DEFAULT_CUTS,
    at: Iterable[datetime] = (),
    time_zones: Iterable[str] = (),
    serving: Serving | None = None,
    say: Say = lambda _: None,
) -> Replay:
    """Replay marts as of past moments, and compare them with what is published.

    Args:
        marts: marts with a published version that the present code made.
        scratch: a database to build them in, of their lineage.
        cut_count: how many moments to choose from the data.
        at: moments to replay instead, UTC.
        time_zones: IANA zones whose midnights and clock changes are among the moments.
        serving: what to compare besides, at each cut that withholds later facts, of the marts
            named: those of which nothing wrong is known yet. It returns what is wrong, by mart.
        say: is told of progress, a line at a time.

    Returns:
        What was shown. A mart has passed if at every cut its rows are those published. One that
        cannot be built again has not, and its problem says why.

    """
    lineage = scratch.lineage
    scratch.build(None, set(lineage.relations))
    order = [mart.unique_id for mart in marts]
    refused = [_refused(mart, scratch.failed, say) for mart in marts if _is_refused(scratch, mart)]
    marts = [mart for mart in marts if not _is_refused(scratch, mart)]
    wanted: set[str] = set().union(*(lineage.above(mart.unique_id) for mart in marts))
    shown = [_Shown(mart, lineage, compare(scratch, mart, None)) for mart in marts]
    for one in shown:
        if one.rebuilt.is_none:
            say(f"rebuilt    {one.mart.name}: as published, {one.rebuilt.compared:,} rows")
    relations = [lineage.relations[name] for name in lineage.relations if name in wanted]
    read = {parent for relation in relations for parent in relation.parents}
    timed = [r for r in relations if r.event_time and r.unique_id in read]
    cuts = [Cut(utc(moment), "as asked") for moment in at]
    if not cuts:
        reaches = find_reaches(scratch, timed, marts, cut_count)
        for one, reach in zip(shown, reaches, strict=True):
            one.reach = reach
        cuts = perturbed(choose_cuts(scratch, reaches, cut_count, time_zones))
    withheld = [_withheld(scratch, timed, cut) for cut in cuts]
    for number, (cut, later) in enumerate(zip(cuts, withheld, strict=True), 1):
        say(f"cut {number:>2}/{len(cuts)}  {cut}: {sum(later.values()):,} later facts")
        _replay_cut(scratch, wanted, cut, later, shown, serving, say)
    named = [{lineage.relations[r].name: n for r, n in later.items()} for later in withheld]
    concluded = [one.conclude(scratch, cuts, say) for one in shown] + refused
    concluded.sort(key=lambda one: order.index(one.unique_id))
    return Replay(cuts, named, scratch.plans, concluded)


@dataclass
class _Shown:
    """What has been shown of one mart so far.

    rebuilt: without a cut. reach: where cuts could show something; None where they were given.
    pairs: for each cut, facts withheld under it and rows compared.
    """

    mart: Mart
    lineage: Lineage
    rebuilt: Difference
    reach: Reach | None = None
    pairs: list[tuple[int, int]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    served: str = ""
    unbuilt: str = ""

    @property
    def is_blamed(self) -> bool:
        """Whether it fails already, whatever else may be found."""
        failed = self.differences or self.unbuilt or self.served
        return bool(failed) or not self.rebuilt.is_none

    def compare(self, scratch: Scratch, cut: Cut, later: dict[str, int]) -> Difference:
        """Compare the mart at a cut. later: the facts after it, by relation."""
        found = compare(scratch, self.mart, cut)
        under = self.lineage.above(self.mart.unique_id) - {self.mart.unique_id}
        facts = sum(count for name, count in later.items() if name in under)
        self.pairs.append((facts, found.compared + found.missing + found.extra))
        if not found.is_none:
            self.differences.append(found)
        return found

    def conclude(self, scratch: Scratch, cuts: list[Cut], say: Say) -> MartReplay:
        """Return what was shown in the end."""
        effective = [pair for pair in self.pairs if all(pair)]
        moments = {cut.at for cut, pair in zip(cuts, self.pairs, strict=True) if all(pair)}
        enough = self.reach.moments if self.reach else min(len(cuts), FEWEST_CUTS)
        problem = self._problem(cuts, len(moments), enough)
        differences = [] if problem else self.differences
        if differences:
            say(f"source     {self.mart.name}: looking for what makes it differ")
            first = differences[0]
            late = _find_late(scratch, self.mart, first.cut)
            differences = [replace(first, late=late), *differences[1:]]
        return MartReplay(
            self.mart.name,
            self.mart.unique_id,
            len(moments),
            enough,
            sum(rows for _, rows in effective),
            sum(facts for facts, _ in effective),
            differences,
            problem,
            "" if problem or differences else self._due(),
            self.rebuilt.is_none,
        )

    def _advice(self) -> str:
        """Return what else may make published rows differ, and what to do."""
        above = [self.lineage.relations[n] for n in self.lineage.above(self.mart.unique_id)]
        batched = sorted(one.name for one in above if one.is_microbatch)
        if batched:
            return (
                f"dbt builds {', '.join(batched)} by batches: rows before its begin are never made,"
                " a batch sees only its own part of a parent that has event_time (read such a"
                " parent as ref('<parent>').render()), and past batches stay as they were until"
                f" `dbt run --select {' '.join(batched)} --event-time-start <first day>"
                " --event-time-end <day after the last>`, then `dbt build`"
            )
        return (
            "rows of an incremental model are older than its code (`dbt build --full-refresh`), a"
            " hook changes them, or the model is not deterministic"
        )

    def _due(self) -> str:
        """Return why no cut can show anything yet; empty if one can."""
        if self.reach is None or self.reach.moments or self.reach.last is None:
            return ""
        return (
            f"All facts under it were known by {self.reach.last}, and its first row is of"
            f" {self.reach.first}: no row of it could know the future, and no cut can show yet that"
            " none will."
        )

    def _problem(self, cuts: list[Cut], effective: int, enough: int) -> str:
        """Return why nothing was shown; empty if something was."""
        if not self.rebuilt.is_none:
            return (
                "what is published is not what the present code makes of the present data:"
                f" {in_words(self.rebuilt)}. Run `dbt build`, then replay again; if they"
                f" still differ, {self._advice()}"
            )
        if self.differences:
            return ""
        if self.unbuilt:
            return self.unbuilt
        if not self.rebuilt.compared:
            return "it has no rows, so nothing is shown. Load data, then run `dbt build`"
        if effective < enough or not (enough or self._due()):
            return _vacuous(cuts, self.pairs)
        return self.served


def _is_refused(scratch: Scratch, mart: Mart) -> bool:
    return mart.unique_id in scratch.failed


def _refused(mart: Mart, failed: dict[str, Problem], say: Say) -> MartReplay:
    """Return that a mart cannot be replayed, and why."""
    problem = not_replayable(failed[mart.unique_id])
    say(f"left out   {mart.name}: {problem}")
    return MartReplay(mart.name, mart.unique_id, 0, 0, 0, 0, [], problem)


def not_replayable(problem: Problem) -> str:
    """Return in words that something under a mart cannot be replayed."""
    where = f" ({problem.file})" if problem.file else ""
    words = f"it cannot be replayed, for {problem.subject}{where}: {problem.message} {problem.fix}"
    return words.rstrip(".")


def _replay_cut(
    scratch: Scratch,
    wanted: set[str],
    cut: Cut,
    later: dict[str, int],
    shown: list[_Shown],
    serving: Serving | None,
    say: Say,
) -> None:
    scratch.build(cut, wanted)
    for one in shown:
        problem = scratch.failed.get(one.mart.unique_id)
        if problem is None:
            if not one.compare(scratch, cut, later).is_none:
                say(f"           {one.mart.name} differs")
            continue
        one.pairs.append((0, 0))
        # Times that were moved apart may be times that a model rightly has no answer for.
        say(f"           {one.mart.name} cannot be built with facts {cut.perturbation}: left out")
        if cut.perturbation == "withheld":
            one.unbuilt = one.unbuilt or f"at {cut.at}, {not_replayable(problem)}"
    if serving is not None and cut.perturbation == "withheld":
        unblamed = {one.mart.name for one in shown if not one.is_blamed}
        problems = serving(scratch, cut, unblamed)
        for one in shown:
            if one.mart.name in problems:
                say(f"           {one.mart.name} is not served as it was")
                one.served = one.served or problems[one.mart.name]


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
            if not compare(scratch, mart, cut).is_none:
                found.append(f"{relation.name} ({relation.file}{_about_time(scratch, relation)})")
    return found


def _about_time(scratch: Scratch, relation: Relation) -> str:
    """Return what to know of a relation's event time, as words."""
    said = ""
    if scratch.time_type(relation) == "DATE":
        when = relation.declared.date_known_at.replace("_of_", " of its ")
        said = f", whose {relation.event_time} is a date, taken as known at the {when}"
    sql = f"select count(*) from ({scratch.event_times(relation)}) where t is null"
    count = scratch.connection.execute(sql).fetchall()[0][0]
    if count:
        said += f", of which {count:,} rows have no {relation.event_time} and so were never known"
    return said
