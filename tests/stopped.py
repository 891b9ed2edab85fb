"""Runs a command of the environment that is stopped at one of its writes.

``python -m stopped <what> <where> <folder> <command> <its arguments>``: before the write that is
the given one of those below the folder, by number or by a regular expression, it is killed
(`kill`), or has no more room on the disk from then on (`fill`), or finds all files read-only from
then on (`forbid`), or says `waits` and waits as long as there is a file `wait` in the folder
(`wait`; of writes to temporary folders). Otherwise it says in the end what it wrote. Writes are
what Python's audit events show: files opened for writing, folders made, files renamed, removed, or
given other permissions. What DuckDB and SQLite write is not among them. Folders for what need not
stay are made in the folder ``temporary`` beside it.
"""

import errno
import os
import re
import resource
import signal
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
}
# Of dbt and Python.
PASSED_OVER = ("/logs/", "/target/", "/__pycache__")
writes: list[str] = []


def main(what: str, where: str, folder: Path) -> None:
    """Install the hook."""
    is_forbidden = False
    root = folder.with_name("temporary") if what == "wait" else folder

    def stop(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal is_forbidden
        write = described(event, arguments, root)
        if write is None:
            return
        writes.append(write)
        if is_forbidden:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))
        if where.isdecimal() and len(writes) != int(where):
            return
        found = [bool(re.search(where, one)) for one in writes]
        if not where.isdecimal() and (not found[-1] or any(found[:-1])):
            return
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "fill":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        elif what == "forbid":
            is_forbidden = True
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))
        elif what == "wait":
            print("waits", flush=True)
            while (folder / "wait").exists():
                time.sleep(0.01)

    sys.addaudithook(stop)


def described(event: str, arguments: tuple[object, ...], folder: Path) -> str | None:
    """Return what is about to be written below a folder, in words; None if nothing is."""
    path = arguments[0] if arguments else None
    if not isinstance(path, str | Path) or not str(path).startswith(f"{folder}/"):
        return None
    if any(one in str(path) for one in PASSED_OVER):
        return None
    if event == "open":
        flags = arguments[2]
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
            return None
    elif event not in CHANGES or (event == "os.mkdir" and Path(path).exists()):
        return None
    return f"{event} {Path(path).relative_to(folder)}"


def pass_on_output() -> None:
    """Let the rest run in a child whose output goes through a pipe, which is never full."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        for stream in (1, 2):
            os.dup2(writing, stream)
        return
    os.close(writing)
    while said := os.read(reading, 4096):
        os.write(1, said)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    what, where, folder, *command = sys.argv[1:]
    if what == "fill":
        pass_on_output()
    main(what, where, Path(folder))
    sys.argv = command
    tempfile.tempdir = str(Path(folder).with_name("temporary"))
    (script,) = entry_points(group="console_scripts", name=command[0])
    try:
        code = script.load()()
    except SystemExit as exit_:
        code = exit_.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    print("writes", *writes, sep="\n")
    sys.stdout.flush()
    os._exit(int(code or 0))
