"""The record of replays beside the published marts, which the gate reads."""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from martfeast.files import locked
from martfeast.problems import DeclarationError, Problem
from martfeast.records import Count, Moment, Record, RecordError

# How many past moments a replay chooses, unless a project says otherwise; and the fewest that it
# may say: with fewer that show something, a mart has shown too little.
DEFAULT_CUTS, FEWEST_CUTS = 24, 3


class ReplayRecord(BaseModel):
    """What the last replay of a mart showed.

    lineage: what the mart and its ancestors ran then, as checksums by node. compiled: the MD5 of
    the SQL that was replayed, by model; those are left out whose SQL is another at every build
    (incremental models, and what asks the warehouse when it is compiled). replayed_at: UTC.
    asked: how many moments were to be chosen. cuts: those that showed something. enough: how many
    it takes: as many as asked for, or all that rows and facts had, if they had fewer; 0 where no
    row could know the future yet. known_from, known_until: the range of the mart's timestamp, UTC.
    compared, withheld: rows compared, and later facts withheld, over all cuts.
    failure: how it knew the future, or why nothing was shown; empty if it passed.
    warnings: what to look at besides. trusted: the models under which nothing says when rows were
    known, so that what they say is taken as true, and why, where that is declared.
    built_on, replayed_on: the engine that builds the mart, and the one that built it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lineage: dict[str, str]
    compiled: dict[str, str]
    replayed_at: Moment
    asked: Count
    cuts: Count
    enough: Count
    known_from: Moment | None
    known_until: Moment | None
    compared: Count
    withheld: Count
    failure: str
    warnings: list[str]
    trusted: dict[str, str]
    built_on: str
    replayed_on: str


class Replays(Record):
    """The file ``replays.json``: the last replay of each mart, by the mart's unique_id."""

    FORMAT: ClassVar[int] = 6

    marts: dict[str, ReplayRecord]


def in_words(*trusted: dict[str, str]) -> str:
    """Return the models that marts take at their word, and why where that is declared, as words."""
    named = {name: why for one in trusted for name, why in one.items()}
    return "; ".join(f"{name}: {why}" if why else name for name, why in sorted(named.items()))


def replays_path(published_path: Path) -> Path:
    """Return the file of the records."""
    return published_path / "replays.json"


def read_replays(published_path: Path) -> tuple[dict[str, ReplayRecord], list[Problem]]:
    """Return the records by the mart's unique_id, and a problem if they cannot be used.

    A folder without the file has no records and no problem.
    """
    path = replays_path(published_path)
    try:
        return Replays.read(path).marts, []
    except FileNotFoundError:
        return {}, []
    except RecordError as error:
        return {}, [_unusable(path, error)]


def require_writable(published_path: Path) -> None:
    """Insist that records may be written: a newer martfeast's are left alone.

    Raises:
        DeclarationError: a newer martfeast wrote the file.

    """
    path = replays_path(published_path)
    try:
        Replays.read(path)
    except FileNotFoundError:
        return
    except RecordError as error:
        if error.is_newer:
            raise DeclarationError([_unusable(path, error)]) from None


def write_replays(published_path: Path, records: dict[str, ReplayRecord]) -> None:
    """Add records to those that are there, in one rename; damaged ones are dropped."""
    if not records:
        return
    path = replays_path(published_path)
    with locked(path.with_name(f".{path.name}.lock")):
        require_writable(published_path)
        there, _ = read_replays(published_path)
        marts = {**there, **records}
        Replays(marts={name: marts[name] for name in sorted(marts)}).write(path)


def _unusable(path: Path, error: RecordError) -> Problem:
    fix = error.fix("Run `martfeast replay`.")
    return Problem("replays", "replays-unreadable", f"{path} cannot be used: {error}.", fix)
