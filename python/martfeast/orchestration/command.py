"""A command of the environment as a process in a project's folder, that ends with its caller."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from martfeast.orchestration.child import GRACE_SECONDS


@dataclass(frozen=True)
class Command:
    """A command as one would type it. folder: where it runs, absolute."""

    program: str
    arguments: tuple[str, ...]
    folder: Path

    def __str__(self) -> str:
        text = shlex.join([self.program, *self.arguments])
        return text if len(text) <= 1000 else f"{text[:1000]} ... ({len(self.arguments)} arguments)"


class Running:
    """A command while it runs: left early, it is cancelled, and nothing of it goes on.

    It has a process group of its own, and ends too when this process is killed. It is interrupted
    first, as by Ctrl-C, so that databases are closed and what was half done is taken back, and
    killed if that takes too long.
    """

    def __init__(self, command: Command, *, is_described: bool = False) -> None:
        """Remember the command. is_described: whether dbt is to say what it built has in it."""
        self.command = command
        self.is_described = is_described
        self.process: subprocess.Popen[str] | None = None
        self.last_lines: list[str] = []

    def __enter__(self) -> "Running":
        """Start it."""
        asked = {
            "program": self.command.program,
            "arguments": self.command.arguments,
            "is_described": self.is_described,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "martfeast.orchestration.child"],
            cwd=self.command.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it ended at once, and says why in its lines
            pass
        except BaseException:
            self.cancel()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel it, if it still runs."""
        self.cancel()

    def lines(self) -> Iterator[str]:
        """Yield what it prints, a line at a time, until it has ended."""
        assert self.process is not None and self.process.stdout is not None, "not entered"
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line.strip():
                self.last_lines = [*self.last_lines[-20:], line]
            yield line

    def wait(self) -> int:
        """Return its exit code, once it has ended; a negative one where a signal ended it."""
        assert self.process is not None, "not entered"
        return self.process.wait()

    def cancel(self) -> None:
        """End it, and all that it started."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
                process.communicate(timeout=GRACE_SECONDS)  # reads on, or it could not print
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def run_command(command: Command) -> tuple[int, str]:
    """Run a command to its end; return its exit code, and all that it printed."""
    with Running(command) as running:
        printed = "\n".join(running.lines())
        return running.wait(), printed


def in_one_line(lines: Sequence[str]) -> str:
    """Return what a command said last, in one line."""
    return " ".join(" ".join(lines).split())
