"""Whether a version is still what was written: its place, its size, its bytes.

A version is a file, or a folder of part files, as engines write that work on many machines. A file
is read whole once, and again when its inode, its size or one of its times has changed: no program
can set the time at which a file's content or place was last changed (ctime). What was seen is kept
beside the file; where nothing can be written there, as long as the process lives.
"""

import contextlib
import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from martfeast.records import Record, RecordError

SEEN = ".verified.json"
FILE_TAGS = ("byte_count", "sha256")


class _State(BaseModel):
    """A file as the system has it, times in nanoseconds, and the SHA-256 of what was read then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inode: int
    byte_count: int
    modified: int
    changed: int
    sha256: str


class _Seen(Record):
    """The files of a folder that were read whole, by name."""

    FORMAT: ClassVar[int] = 1

    files: dict[str, _State]


_seen: dict[Path, _State] = {}


def damage(path: Path, byte_count: int, sha256: str | None, depth: int = 3) -> str:
    """Return why a version is not what was written, in words; empty if it is.

    A file that is read for this is made read-only.

    Args:
        path: the file or the folder, absolute.
        byte_count: its size when it was written; of a folder, that of its Parquet files.
        sha256: of its bytes then; of a folder, of what ``sha256sum`` prints of its Parquet files by
            name. None where a file was too large for that, and its size has to do.
        depth: how many levels below a folder it is that may be a link; others are refused.

    """
    folder = path.parents[depth - 1]
    if not path.exists() and not path.is_symlink():
        return "does not exist"
    if path.resolve() != folder.resolve() / path.relative_to(folder):
        return "is a link, or stands in a folder that is one"
    is_folder = path.is_dir()
    files = part_files(path)
    if not all(file.is_file() and not file.is_symlink() for file in files):
        return "has a part that is a link or no file" if is_folder else "is no file"
    if not files:
        return "is a folder without Parquet files"
    if is_folder and any(one.is_dir() for one in path.iterdir()):
        return "has a folder in it, and was written without one"
    found = sum(file.stat().st_size for file in files)
    if found != byte_count:
        return f"has {found:,} bytes, and was written with {byte_count:,}"
    if sha256 is not None and not _has(files, is_folder, sha256):
        return "has other bytes than were written"
    return ""


def part_files(path: Path) -> list[Path]:
    """Return the Parquet files of a version in the order of their names: itself, or its parts."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def damage_of_tagged(path: Path, tags: Mapping[str, str]) -> str:
    """Return why a version's file is not the one that tags tell of; empty if it is, or if none do.

    Args:
        path: the file, absolute.
        tags: of the data source that reads it.

    """
    if not tags.get("byte_count", "").isdecimal():
        return ""
    return damage(path, int(tags["byte_count"]), tags.get("sha256"))


def forget_gone(folder: Path) -> None:
    """Drop what is kept of a folder's files that are gone; the last takes the note with it."""
    noted = _read(folder)
    there = {name: one for name, one in noted.items() if (folder / name).exists()}
    if not there:
        (folder / SEEN).unlink(missing_ok=True)
    elif there != noted:
        _Seen(files=there).write(folder / SEEN)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has(files: list[Path], is_folder: bool, sha256: str) -> bool:
    """Tell whether a version with these files has this SHA-256, and keep what was seen if so."""
    states = [state for state in map(_seen_state, files) if state is not None]
    if len(states) < len(files):
        return False
    found = states[0].sha256
    if is_folder:
        pairs = zip(states, files, strict=True)
        listed = "".join(f"{state.sha256}  {file.name}\n" for state, file in pairs)
        found = hashlib.sha256(listed.encode()).hexdigest()
    if found != sha256:
        return False
    for file, state in zip(files, states, strict=True):
        if _seen.get(file) != state:
            _seen[file] = state
            with contextlib.suppress(OSError):
                _keep(file, state)
    return True


def _seen_state(path: Path) -> _State | None:
    """Return a file's state; it is read only if it may have changed since its state was kept.

    Returns:
        None if it is being written to.

    """
    noted = _seen.get(path) or _read(path.parent).get(path.name)
    if noted is not None and noted == _state(path, noted.sha256):
        return noted
    with contextlib.suppress(OSError):  # who may read it need not own it
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    before = _state(path, "")
    sha256 = file_sha256(path)
    return before.model_copy(update={"sha256": sha256}) if _state(path, "") == before else None


def _state(path: Path, sha256: str) -> _State:
    found = path.stat()
    return _State(
        inode=found.st_ino,
        byte_count=found.st_size,
        modified=found.st_mtime_ns,
        changed=found.st_ctime_ns,
        sha256=sha256,
    )


def _read(folder: Path) -> dict[str, _State]:
    try:
        return _Seen.read(folder / SEEN).files
    except (FileNotFoundError, RecordError):
        return {}


def _keep(path: Path, state: _State) -> None:
    noted = _read(path.parent)
    if noted.get(path.name) == state:
        return
    there = {name: one for name, one in noted.items() if (path.parent / name).exists()}
    _Seen(files={**there, path.name: state}).write(path.parent / SEEN)
