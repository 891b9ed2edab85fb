"""Whether a project's files are still what dbt read, byte by byte.

dbt keeps the SHA-256 of every file that it parsed, with white space around it left out, in
``partial_parse.msgpack`` beside its manifest. Times of change say nothing: a copy, a checkout or an
image has new ones, and an edit may keep the old one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pathspec

from martfeast.causes import Cause, cause_of
from martfeast.files import read_settled
from martfeast.problems import Problem, refusal

# What dbt reads from the folders of each setting.
_ALL = {".sql", ".yml", ".yaml", ".md"}
_READ = {
    "model-paths": (["models"], _ALL | {".py"}),
    "seed-paths": (["seeds"], {".csv", ".yml", ".yaml", ".md"}),
    "snapshot-paths": (["snapshots"], _ALL),
    "analysis-paths": (["analyses"], _ALL),
    "macro-paths": (["macros"], _ALL),
    "test-paths": (["tests"], {".sql", ".yml", ".yaml", ".md"}),
    "function-paths": (["functions"], _ALL | {".py"}),
}
PARSED_FILES = "partial_parse.msgpack"


@dataclass(frozen=True)
class _ReadFile:
    """A file as dbt read it. checksum: None where dbt keeps none, as of a seed above 1 MiB."""

    checksum: str | None
    modified_at: float


def find_stale(
    project_dir: Path,
    project: dict[str, Any],
    project_name: str,
    target_path: Path,
    models: dict[str, str],
) -> list[Problem]:
    """Compare a project's files with what dbt read last, by content.

    Args:
        project_dir: the folder of dbt_project.yml, absolute.
        project: what that file says.
        project_name: of the project.
        target_path: the folder of dbt's artifacts, absolute.
        models: the SHA-256 of each model's file in the manifest, by its path in the project; those
            of packages too.

    Returns:
        A problem for each file that has changed, is new or is gone.

    Raises:
        DeclarationError: dbt's record of what it read is not there or cannot be read.

    """
    parsed = _read_parsed(target_path / PARSED_FILES)
    try:
        project_hash = parsed["state_check"]["project_hashes"][project_name]["checksum"]
        read = dict(_files_read(parsed["files"], project_name))
    except (KeyError, TypeError, AttributeError):
        raise _unreadable(target_path / PARSED_FILES, "it is not as dbt 1.11 writes it") from None
    changed: dict[str, tuple[str, str]] = {}
    if _checksum(project_dir / "dbt_project.yml", is_stripped=False) != project_hash:
        changed["dbt_project.yml"] = ("has changed since dbt last read it", "Run `dbt build`.")
    # The manifest may be another than the one that was written with that record.
    for name, file in {**read, **{name: _ReadFile(models[name], 0.0) for name in models}}.items():
        if problem := _compare(project_dir / name, file):
            changed[name] = problem
    for name in _found(project_dir, project):
        if name not in read and name not in models:
            changed[name] = ("is not among the files that dbt has read", "Run `dbt build`.")
    return [
        Problem("dbt artifacts", "manifest-stale", f"This file {what}.", fix, file=name)
        for name, (what, fix) in sorted(changed.items())
    ]


def _compare(path: Path, read: _ReadFile) -> tuple[str, str] | None:
    """Return what has become of a file and what to do; None if it is as dbt read it."""
    if not path.is_file():
        return "is gone", "Run `dbt build`."
    if read.checksum is None or _checksum(path) == read.checksum:
        return None
    if path.stat().st_mtime == read.modified_at:
        return (
            "has changed since dbt last read it, with its time of change kept, so that dbt would"
            " pass over it",
            "Run `dbt build --no-partial-parse`.",
        )
    return "has changed since dbt last read it", "Run `dbt build`."


def _read_parsed(path: Path) -> Any:
    try:
        return read_settled(path, partial(msgpack.unpackb, strict_map_key=False))
    except FileNotFoundError:
        raise _unreadable(path, "it does not exist") from None
    except (OSError, ValueError, msgpack.UnpackException) as error:
        raise _unreadable(path, " ".join(str(error).split()), cause_of(error)) from None


def _unreadable(path: Path, why: str, cause: Cause = Cause.USAGE) -> Exception:
    return refusal(
        "dbt artifacts",
        "parsed-files-unreadable",
        f"{path} has what dbt read of each file, and cannot be used: {why}.",
        "Run `dbt build`: it writes the file anew.",
        cause=cause,
    )


def _files_read(files: dict[str, Any], project_name: str) -> Iterator[tuple[str, _ReadFile]]:
    """Yield the project's own files, relative to it."""
    for file in files.values():
        if file["project_name"] == project_name:
            path = file["path"]
            name = str(Path(path["searched_path"], path["relative_path"]))
            is_hashed = file["checksum"]["name"] == "sha256"
            checksum = file["checksum"]["checksum"] if is_hashed else None
            yield name, _ReadFile(checksum, path["modification_time"])


def _found(project_dir: Path, project: dict[str, Any]) -> Iterator[str]:
    """Yield the files that dbt would read, relative to the project."""
    ignored = project_dir / ".dbtignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    spec = pathspec.PathSpec.from_lines("gitwildmatch", lines)
    for key, (default, suffixes) in _READ.items():
        for folder in project.get(key) or default:
            for path in (project_dir / str(folder)).rglob("*"):
                name = str(path.relative_to(project_dir))
                if path.suffix in suffixes and path.is_file() and not spec.match_file(name):
                    yield name


def _checksum(path: Path, *, is_stripped: bool = True) -> str | None:
    """Return the SHA-256 of a file's text as dbt computes it; None if it is no text."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return hashlib.sha256((text.strip() if is_stripped else text).encode()).hexdigest()
