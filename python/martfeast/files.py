"""Files that several processes use: changed in one rename, locked, and waited for."""

import fcntl
import os
import re
import shutil
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
DAY_SECONDS = 86_400
TEMPORARY = "martfeast-"
# Names of what is written aside: by `replaced` and as a dataset; by DuckDB's COPY; and of folders
# for what need not stay.
ASIDE = r"\..+\.[0-9a-f]{32}|\.building-[0-9a-f]{32}"
COPIED = r"tmp_.+"
FOLDERS = rf"{TEMPORARY}(replay|serving|spill)-.+"
_IN_USE = re.compile(
    r'Could not set lock on file "(?P<file>.+?)".*?PID (?P<process>\d+)', re.DOTALL
)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a new file to write, which takes the place of another in one rename at the end.

    A kill, an error or a full disk before that leaves the old file as it was. What a kill leaves of
    the new one, `leftovers` finds.

    Raises:
        OSError: it cannot be written; its filename is that of the file, and of no other.

    """
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield new
        new.replace(path)
    except OSError as error:  # of what fails while it is written, the system names no file
        if error.filename is None or Path(error.filename) == new:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):
            new.unlink()


def read_settled(path: Path, parse: Callable[[bytes], T]) -> T:
    """Return what a file says that another program may be writing anew in place, as dbt does.

    What cannot be parsed is read again until it has stayed as it is for a second.

    Raises:
        OSError: it cannot be read.
        Exception: what parse raises of it.

    """
    content = path.read_bytes()
    unchanged = 0
    while True:
        try:
            return parse(content)
        except Exception:
            while unchanged < 10:
                time.sleep(0.1)
                unchanged += 1
                if (read := path.read_bytes()) != content:
                    content, unchanged = read, 0
                    break
            else:
                raise


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; it need not be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unusable(error: OSError) -> str:
    """Return in a sentence which file could not be used, why, and what to do."""
    return (
        f"{error.filename} cannot be used: {error.strerror}. What was there before is as it was."
        " Make room or set permissions, then run this again."
    )


def temporary_folder(kind: str) -> "tempfile.TemporaryDirectory[str]":
    """Make a folder that is removed when it is left; what a kill leaves, `leftovers` finds."""
    return tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}{kind}-")


def leftovers(folder: Path, names: str, depth: int = 0) -> Iterator[Path]:
    """Find what runs that were killed left: what has such a name and was not touched for a day.

    Args:
        folder: where to look; it need not be there.
        names: a regular expression of whole names: ASIDE, COPIED, FOLDERS.
        depth: how many levels of folders in it to look into.

    Returns:
        Files, and folders that are to go whole.

    """
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.iterdir()):
            is_folder = path.is_dir() and not path.is_symlink()
            if re.fullmatch(names, path.name):
                if time.time() - _last_touched(path) > DAY_SECONDS:
                    yield path
            elif is_folder and depth:
                yield from leftovers(path, names, depth - 1)


def _last_touched(path: Path) -> float:
    times = [time.time()]
    with suppress(FileNotFoundError):  # of a run that is at it
        times = [one.lstat().st_mtime for one in (path, *path.rglob("*"))]
    return max(times)


@contextmanager
def locked(path: Path, waiting_for: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a file; the system releases it even after a kill.

    waiting_for: what to say on stderr if another process has the lock.
    """
    lock = acquire_lock(path, waiting_for)
    try:
        yield
    finally:
        os.close(lock)


def acquire_lock(path: Path, waiting_for: str | None = None) -> int:
    """Lock a file until the returned descriptor is closed, at the latest when the process ends.

    Args:
        path: the lock file; made if it is missing, never removed.
        waiting_for: what to say on stderr if another process has the lock.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting_for:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            print(f"martfeast: {waiting_for} (process {holder}): waiting", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def wait_for_publishing(published_path: Path) -> None:
    """Wait while a dbt run publishes to a folder, saying so on stderr."""
    _wait(published_path / "publishing.duckdb", f"is publishing to {published_path}", "dbt")


def is_publishing(published_path: Path) -> bool:
    """Tell whether a dbt run publishes to a folder now.

    A publishing run keeps ``publishing.duckdb`` attached, and DuckDB holds a POSIX lock on it.
    """
    return lock_holder(published_path / "publishing.duckdb") is not None


def wait_for_database(refused: str) -> bool:
    """Wait until a database is free that DuckDB could not open, saying so on stderr.

    dbt holds the lock on its warehouse as long as it builds, tests and publishes.

    Args:
        refused: what DuckDB said.

    Returns:
        Whether it said that another process has the database open; it may be tried again then.

    """
    found = _IN_USE.search(refused)
    if found is None or int(found["process"]) == os.getpid():
        return False
    wait_while_held(Path(found["file"]))
    return True


def wait_while_held(database: Path) -> bool:
    """Wait while another process has a DuckDB file open, saying so on stderr.

    Returns:
        Whether there was one.

    """
    return _wait(database, f"has {database} open", "dbt, or another program")


def _wait(database: Path, does: str, who: str) -> bool:
    """Wait while another process holds a database. does, who: what it does and is, in words."""
    process = lock_holder(database)
    if process is None:
        return False
    print(f"martfeast: {who} (process {process}) {does}: waiting", file=sys.stderr)
    while lock_holder(database) is not None:
        time.sleep(0.1)
    return True


def lock_holder(database: Path) -> int | None:
    """Return the process that holds a POSIX lock on a file; None if no other one does.

    Such a lock has DuckDB on its file, and Derby on the file ``dbex.lck``.

    Not to be asked by a process that holds such a lock itself: it would lose it.
    """
    try:
        file = os.open(database, os.O_RDWR)
    except OSError:
        return None
    # struct flock on Linux: type, whence, start, length, pid
    layout = "hhqqi4x"
    try:
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else process
    finally:
        os.close(file)
