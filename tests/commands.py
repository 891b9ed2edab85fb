"""The commands of the environment, as processes that need not import them anew.

A server imports dbt and Feast once and forks itself for every command. Each command so has a
process of its own, with its locks, exit code and modules, without seconds of start-up.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO, Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["preloaded"])
TIMEOUT_SECONDS = 900


class Command:
    """A command that runs; `wait` for its end, or `kill` it.

    arguments: the console script's name and what follows it, or -m, a module's and what follows.
    cwd: the folder that it starts in.
    environment: all of its environment variables.
    """

    def __init__(self, *arguments: str, cwd: Path, environment: dict[str, str]) -> None:
        _start_server()
        self.arguments = list(arguments)
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name, name) for name in ("out", "err")]
        for file in self._files:
            file.touch()
        files = list(map(str, self._files))
        self._process = SERVER.Process(
            target=_become, args=(self.arguments, str(cwd), environment, files)
        )
        self._process.start()

    @property
    def process(self) -> int:
        """The number of its process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """Output and errors so far."""
        return "".join(file.read_text() for file in self._files)

    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.is_alive()

    def wait_for(self, text: str) -> None:
        """Wait until it has said a text, or has ended."""
        while text not in self.said and self.is_running():
            time.sleep(0.001)

    def wait(self) -> CompletedProcess[str]:
        """Wait for its end; return exit code, output and errors."""
        self._process.join(TIMEOUT_SECONDS)
        if self.is_running():
            self._process.kill()
            raise TimeoutError(f"{' '.join(self.arguments)}: {self.said}")
        out, err = (file.read_text() for file in self._files)
        assert self._process.exitcode is not None
        return CompletedProcess(self.arguments, self._process.exitcode, out, err)

    def pause(self) -> None:
        """Stop it with its locks, until `resume`."""
        os.kill(self.process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.process, signal.SIGCONT)

    def kill(self) -> CompletedProcess[str]:
        """End it with SIGKILL, as a power cut would."""
        self._process.kill()
        return self.wait()


def _in_this_environment(
    *, target: Callable[..., object], args: tuple[Any, ...]
) -> ForkServerProcess:
    _start_server()
    return SERVER.Process(target=_run_in, args=(dict(os.environ), target, args))


class Forks(ForkServerContext):
    """Starts processes as `multiprocessing` spawns them, with the environment that there is now."""

    Process = staticmethod(_in_this_environment)  # type: ignore[assignment]


def run_forked(
    arguments: list[str], cwd: Path, env: dict[str, str], **_: object
) -> CompletedProcess[str]:
    """Run Python as `subprocess.run` does, in a process that need not import dbt anew."""
    python, *rest = arguments
    assert python == sys.executable
    rest = ["dbt", *rest[2:]] if rest[:2] == ["-m", "dbt.cli.main"] else rest
    return Command(*rest, cwd=cwd, environment=env).wait()


class ForkedPopen:
    """What `subprocess.Popen` is to who starts Python with pipes, in a session of its own."""

    def __init__(
        self, arguments: list[str], *, cwd: Path, env: dict[str, str], **_: object
    ) -> None:
        python, *rest = arguments
        assert python == sys.executable
        _start_server()
        with tempfile.TemporaryDirectory() as folder:
            pipes = [str(Path(folder, name)) for name in ("in", "out")]
            for pipe in pipes:
                os.mkfifo(pipe)
            target = (rest, str(cwd), env, pipes)
            self._process = SERVER.Process(target=_become_piped, args=target)
            self._process.start()
            self.stdin: IO[str] = Path(pipes[0]).open("w")  # noqa: SIM115
            self.stdout: IO[str] = Path(pipes[1]).open(errors="replace")  # noqa: SIM115

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, once it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("", timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Close its input, and read what it prints until it has ended."""
        self.stdin.close()
        said = self.stdout.read()
        self.wait(timeout)
        return said, None

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


def _become_piped(
    arguments: list[str], cwd: str, environment: dict[str, str], pipes: list[str]
) -> None:
    """Run a module in this process, its input and output being pipes."""
    os.setsid()
    os.dup2(os.open(pipes[0], os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0)
    # The pipe has no name any more by the time it is opened for errors.
    _become(arguments, cwd, environment, [pipes[1], "/dev/fd/1"])


def _run_in(
    environment: dict[str, str], target: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


def _start_server() -> None:
    """Start the server, unless it runs; it knows where to import from by its environment only."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _become(arguments: list[str], cwd: str, environment: dict[str, str], files: list[str]) -> None:
    """Run a console script or module in this process, its output and errors in two files."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        sys.argv = arguments
        (script,) = entry_points(group="console_scripts", name=arguments[0])
        sys.exit(script.load()())
    finally:
        atexit._run_exitfuncs()
