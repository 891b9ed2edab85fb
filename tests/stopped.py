"""Runs a command of the environment that stops, fails or waits at one of its writes.

``python -m stopped <what> <number> <folder> <command> <its arguments>``: at the write of this
number, of those to files below the folder, it is killed (`kill`), or it has no more room on the
disk from then on (`fill`), or it says so and waits as long as there is a file `wait` in the
folder (`wait`). With number 0 it only counts. Writes are what Python's audit events show: files
opened for writing, made, renamed, removed, or given other permissions. Of what DuckDB writes there
are none, but its files are renamed or removed by Python in the end.
"""

import os
import resource
import signal
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link"}
# Of dbt and Python, and of what stays in the folder that is no file of a command's.
PASSED_OVER = ("/logs/", "/target/", "__pycache__", "/.lock", ".pyc")
writes: list[str] = []


def main(what: str, number: int, folder: Path) -> None:
    """Install the hook."""

    def stop(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            is_change = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            is_change = event in CHANGES
            path = arguments[0] if is_change and arguments else None
        if not is_change or not isinstance(path, str | Path):
            return
        if not str(path).startswith(f"{folder}/") or any(one in str(path) for one in PASSED_OVER):
            return
        writes.append(f"{event} {Path(path).relative_to(folder)}")
        if len(writes) != number:
            return
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "fill":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        if what == "wait":
            print("waits", flush=True)
            while (folder / "wait").exists():
                time.sleep(0.01)

    sys.addaudithook(stop)


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
    with open(reading, "rb") as pipe:
        while said := pipe.read1():
            os.write(1, said)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    what, number, folder, *command = sys.argv[1:]
    if what == "fill":
        pass_on_output()
    main(what, int(number), Path(folder))
    sys.argv = command
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
