"""Removes published versions that nothing needs any more."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

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
        PruneError: the current release cannot be read. Nothing was removed.

    """
    # Listed first: what a publishing run writes from here on is not in the list.
    files = sorted((published_path / "marts").glob("*/*.parquet"))
    # DuckDB writes under tmp_... and renames; what a kill left under such a name is old by now.
    unfinished = sorted(published_path.glob("**/tmp_*"))
    forgotten = [path for path in unfinished if time.time() - path.stat().st_mtime > DAY_SECONDS]
    files = [file for file in files if file not in unfinished]
    releases = sorted((published_path / "releases").glob("[0-9]*.json"))
    current = published_path / "current.json"
    needed = _paths(current)
    if needed is None:
        raise PruneError(f"{current} is missing or damaged. Run `dbt build`: it writes it anew.")
    number = json.loads(current.read_bytes())["release_number"]
    for release in releases:
        if int(release.stem) > number - kept_releases:
            needed |= _paths(release) or set()
    needed |= _paths(published_path / "pending.json") or set()
    unneeded = [
        file
        for file in files
        if str(file.relative_to(published_path)) not in needed
        and not any(_names(text, file) for text in registry_texts)
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


def _paths(record: Path) -> set[str] | None:
    """Return the version files that a release or pending.json names; None if it is unreadable."""
    try:
        content = json.loads(record.read_bytes())
        marts = content.get("marts")
        paths = content["paths"] if marts is None else [mart["path"] for mart in marts]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {str(path) for path in paths if path}
