"""Removes published versions that nothing needs any more."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from martfeast.published.release import Release
from martfeast.records import RecordError

DEFAULT_KEPT_RELEASES = 10
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what stayed: files, bytes, versions."""

    removed: list[Path]
    removed_bytes: int
    kept_count: int


class PruneError(Exception):
    """Nothing was removed: what is needed cannot be told. The message has the next step."""


def prune(
    published_path: Path, kept_releases: int, registry_texts: list[str], dry_run: bool = False
) -> Pruned:
    """Remove the versions that are in none of the last releases and that no registry names.

    Kept are: the current release, the newest releases before it, what a publishing run has set out
    to write, and every version whose path or name occurs anywhere in a registry: as the source of
    a feature view, or in the storage or the tags of a saved dataset.

    Args:
        published_path: the folder of published marts.
        kept_releases: how many releases to keep, the current one included; 1 or more.
        registry_texts: all that each Feast registry over this folder holds, as text.
        dry_run: only say what would be removed.

    Returns:
        What was removed.

    Raises:
        PruneError: a release that is to be kept cannot be read. Nothing was removed.

    """
    # Listed first: what a publishing run writes from here on is not in the list.
    files = sorted((published_path / "marts").glob("*/*.parquet"))
    # DuckDB writes under tmp_... and renames; what a kill left under such a name is old by now.
    unfinished = sorted(published_path.glob("**/tmp_*"))
    forgotten = [path for path in unfinished if time.time() - path.stat().st_mtime > DAY_SECONDS]
    files = [file for file in files if file not in unfinished]
    releases = sorted((published_path / "releases").glob("[0-9]*.json"))
    releases = [release for release in releases if release.stem.isdecimal()]
    current = published_path / "current.json"
    number, needed = _read(published_path, current, "Run `dbt build`: it writes it anew")
    recent = [release for release in releases if int(release.stem) > number - kept_releases]
    for release in recent:
        needed |= _named_in(published_path, release, files)
    needed |= _pending(published_path / "pending.json")
    unneeded = [
        file
        for file in files
        if file not in needed and not any(_names(text, file) for text in registry_texts)
    ]
    old = [release for release in releases if int(release.stem) <= number - kept_releases]
    removed = unneeded + old + forgotten
    size = sum(file.stat().st_size for file in removed)
    if not dry_run:
        for file in removed:
            file.unlink(missing_ok=True)
    return Pruned(removed, size, len(files) - len(unneeded))


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
    files = {file for version in versions for file in (version.path, version.baseline) if file}
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
