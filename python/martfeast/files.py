"""Files that several processes use: changed in one rename, locked, and waited for."""

import fcntl
import os
import struct
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a new file to write, which takes the place of another in one rename at the end.

    A kill, an error or a full disk before that leaves the old file as it was.
    """
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


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
    """Wait while a dbt run publishes to a folder, saying so on stderr.

    A publishing run keeps ``publishing.duckdb`` attached, and DuckDB holds a POSIX lock on it.
    """
    try:
        file = os.open(published_path / "publishing.duckdb", os.O_RDWR)
    except OSError:
        return
    # struct flock on Linux: type, whence, start, length, pid
    layout = "hhqqi4x"
    said = False
    try:
        while True:
            asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
            if kind == fcntl.F_UNLCK:
                return
            if not said:
                said = True
                print(
                    f"martfeast: dbt (process {process}) is publishing to {published_path}:"
                    " waiting",
                    file=sys.stderr,
                )
            time.sleep(0.1)
    finally:
        os.close(file)
