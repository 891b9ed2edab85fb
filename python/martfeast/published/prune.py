"""Removes published versions that nothing needs any more."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from martfeast.files import ASIDE, COPIED, is_publishing, leftovers, remove
from martfeast.published.release import Release, release_files
from martfeast.published.verified import SEEN, forget_gone
from martfeast.records import RecordError

DEFAULT_KEPT_RELEASES = 10


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what stayed: files and folders, bytes, versions."""

    removed: list[Path]
    removed_bytes: int
    kept_count: int


class PruneError(Exception):
    """Nothing was removed: what is needed cannot be told. The message has the next step."""


def prune(
    published_path: Path,
    kept_releases: int,
    registry_texts: list[str],
    dry_run: bool = False,
    others: Iterable[Path] = (),
) -> Pruned:
    """Remove the versions that are in none of the last releases and that no registry names.

    Kept are: the current release, the newest releases before it, what a run that publishes now has
    set out to write, and every version whose path or name occurs anywhere in a registry: as the
    source of a feature view, or in the storage or the tags of a saved dataset. What killed runs
    left, and notes of files that are gone, are removed too.

    Args:
        published_path: the folder of published marts.
        kept_releases: how many releases to keep, the current one included; 1 or more.
        registry_texts: all that each Feast registry over this folder holds, as text.
        dry_run: only say what would be removed.
        others: what killed runs left elsewhere, to be removed too.

    Returns:
        What was removed.

    Raises:
        PruneError: a release that is to be kept cannot be read. Nothing was removed.

    """
    # Listed first: what a publishing run writes from here on is not in the list.
    files = sorted((published_path / "marts").glob("*/*.parquet"))
    files = [file for file in files if not file.name.startswith("tmp_")]
    # Asked before the release is read: what is listed is of runs that have ended, or of this one.
    is_awaited = is_publishing(published_path)
    releases = release_files(published_path)
    current = published_path / "current.json"
    number, needed = _read(published_path, current, "Run `dbt build`: it writes it anew")
    recent = [release for release in releases if int(release.stem) > number - kept_releases]
    for release in recent:
        needed |= _named_in(published_path, release, files)
    if is_awaited:
        needed |= _pending(published_path / "pending.json")
    unneeded = [
        file
        for file in files
        if file not in needed and not any(_names(text, file) for text in registry_texts)
    ]
    old = [release for release in releases if int(release.stem) <= number - kept_releases]
    # A release before its versions, so that a kill leaves none that names what is gone.
    removed = [*old, *unneeded, *leftovers(published_path, f"{ASIDE}|{COPIED}", 2), *others]
    size = _freed_bytes(removed)
    if not dry_run:
        for path in removed:
            remove(path)
        for seen in published_path.glob(f"marts/*/{SEEN}"):
            forget_gone(seen.parent)
    return Pruned(removed, size, len(files) - len(unneeded))


def _freed_bytes(paths: list[Path]) -> int:
    """Return what removal frees: a file that another version is linked to stays on the disk."""
    found = [one for path in paths for one in (path, *path.rglob("*"))]
    states = [one.lstat() for one in found if one.is_symlink() or not one.is_dir()]
    gone = Counter((state.st_dev, state.st_ino) for state in states)
    sizes = {
        (state.st_dev, state.st_ino): state.st_size
        for state in states
        if gone[state.st_dev, state.st_ino] >= state.st_nlink
    }
    return sum(sizes.values())


def _names(registry_text: str, file: Path) -> bool:
    return f"{file.parent.name}/{file.stem}" in registry_text


def _read(published_path: Path, release: Path, fix: str) -> tuple[int, set[Path]]:
    """Return a release's number, and the version files that it needs, absolute."""
    try:
        record = Release.read(release, published_path)
    except FileNotFoundError:
        raise PruneError(f"{release} is missing. {fix}.") from None
    except RecordError as error:
        raise PruneError(f"{release} cannot be used: {error}. {fix}.") from error
    versions = [one.version for one in record.marts if one.version]
    files = {version.path for version in versions}
    files |= {version.history.baseline for version in versions if version.history.baseline}
    return record.number, files


def _named_in(published_path: Path, release: Path, files: list[Path]) -> set[Path]:
    """Return the version files that a release names; one of an older format is read as text."""
    try:
        return _read(published_path, release, "Remove it, if none of its versions is needed")[1]
    except PruneError as error:
        if not isinstance(error.__cause__, RecordError) or not error.__cause__.is_older:
            raise
    text = release.read_text()
    return {file for file in files if str(file.relative_to(published_path)) in text}


def _pending(path: Path) -> set[Path]:
    """Return the version files that the newest publishing run set out to write, absolute."""
    try:
        return {path.parent / str(name) for name in json.loads(path.read_bytes())["paths"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
