"""dbt in a process of its own, which imports it and parses the project once for many commands."""

import atexit
import multiprocessing
import os
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

from martfeast.problems import refusal

# Tells the package's hook that more batches follow, so that it does not publish yet.
MORE_FOLLOWS = "MARTFEAST_BACKFILL"
# In the process: what dbt parsed, for the commands after.
_parsed: dict[str, Any] = {}


class DbtProcess:
    """Runs dbt commands in the working directory, one after the other, until it is left.

    Then its connections are closed, so that others can open the database.
    """

    def __init__(self, options: list[str]) -> None:
        """Remember dbt's options: target, profile, variables."""
        self.options = options
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "DbtProcess":
        """Start the process, with the first command."""
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, context, _end_with_parent)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        if self.pool is not None:
            self.pool.shutdown()

    def run(self, arguments: list[str], may_publish: bool = False) -> list[str]:
        """Run a command; return what failed, in dbt's words: nothing if it succeeded.

        may_publish: whether its hook may publish marts.

        Raises:
            DeclarationError: the process ended without a word.

        """
        assert self.pool is not None, "not entered"
        try:
            return self.pool.submit(
                _run, [*arguments, *self.options], "" if may_publish else "more follows"
            ).result()
        except BrokenProcessPool:
            raise refusal(
                "dbt",
                "dbt-ended",
                f"The process of `dbt {arguments[0]}` was killed.",
                "Run the same command again; batches that are made stand.",
            ) from None


def _end_with_parent() -> None:
    """Let this process end, and quietly, when the one that started it is killed or is done.

    It would keep the database otherwise.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    # DuckDB's bindings say at exit what a plugin's SQL functions leave behind, which helps nobody.
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


def _run(arguments: list[str], more_follows: str) -> list[str]:
    """Run a dbt command in this process; return what failed."""
    from dbt.cli.main import dbtRunner

    os.environ[MORE_FOLLOWS] = more_follows
    failures: list[str] = []

    def heard(event: Any) -> None:
        if event.info.level == "error" and event.info.msg.strip():
            failures.append(" ".join(str(event.info.msg).split()).rstrip("."))

    with tempfile.TemporaryDirectory(prefix="martfeast-backfill-") as logs:
        quiet = ["--log-level", "none", "--log-path", logs, "--no-use-colors"]
        runner = dbtRunner(manifest=_parsed.get("manifest"), callbacks=[heard])
        result = runner.invoke([*quiet, *arguments])
    if result.success and arguments[0] == "parse":
        _parsed["manifest"] = result.result
    if result.success:
        return []
    return failures or [str(result.exception or "a model or a test failed")]
