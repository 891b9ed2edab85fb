"""dbt in a process of its own, which imports it and parses the project once for many commands.

What reads or publishes the tables besides runs there too: Spark in local mode is one process's.
"""

import atexit
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from martfeast.causes import Cause
from martfeast.problems import refusal
from martfeast.running_dbt.node_events import print_node_finished

# Tells the package's hook that more batches follow, so that it does not publish yet.
MORE_FOLLOWS = "MARTFEAST_BACKFILL"
# In the process: what dbt parsed, for the commands after.
_parsed: dict[str, Any] = {}
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """What came of a dbt command.

    failures: what failed, in dbt's words; nothing if it succeeded. batches: how many of dbt's
    batches succeeded, by the model's unique_id.
    """

    failures: list[str]
    batches: dict[str, int]


class DbtProcess:
    """Runs dbt commands in the working directory, one after the other, until it is left.

    Then its connections are closed, so that others can open the database.
    """

    def __init__(self, options: list[str], says_nodes: bool = False) -> None:
        """Remember dbt's options: target, profile, variables.

        says_nodes: whether to print the end of each node, as a line of JSON.
        """
        self.options = options
        self.says_nodes = says_nodes
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

    def run(self, arguments: list[str], may_publish: bool = False) -> Ran:
        """Run a command; return what came of it.

        may_publish: whether its hook may publish marts.

        Raises:
            DeclarationError: the process ended without a word.

        """
        more_follows = "" if may_publish else "more follows"
        return self.call(_run, [*arguments, *self.options], more_follows, self.says_nodes)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of a module there; return what it returns, and raise what it raises.

        Raises:
            DeclarationError: the process ended without a word.

        """
        assert self.pool is not None, "not entered"
        try:
            return self.pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise refusal(
                "dbt",
                "dbt-ended",
                "The process in which dbt ran was killed.",
                "Run the same command again; batches that are made stand.",
                cause=Cause.INFRASTRUCTURE,
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


def _run(arguments: list[str], more_follows: str, says_nodes: bool) -> Ran:
    """Run a dbt command in this process."""
    from dbt.cli.main import dbtRunner

    os.environ[MORE_FOLLOWS] = more_follows
    failures: list[str] = []

    def heard(event: Any) -> None:
        if event.info.level == "error" and event.info.msg.strip():
            failures.append(" ".join(str(event.info.msg).split()).rstrip("."))
        if says_nodes:
            print_node_finished(event)

    with tempfile.TemporaryDirectory(prefix="martfeast-backfill-") as logs:
        quiet = ["--log-level", "none", "--log-path", logs, "--no-use-colors"]
        runner = dbtRunner(manifest=_parsed.get("manifest"), callbacks=[heard])
        result: Any = runner.invoke([*quiet, *arguments])
    if result.success and arguments[0] == "parse":
        _parsed["manifest"] = result.result
    batches = {
        one.node.unique_id: len(one.batch_results.successful)
        for one in getattr(result.result, "results", [])
        if getattr(one, "batch_results", None) is not None
    }
    if result.success:
        return Ran([], batches)
    return Ran(failures or [str(result.exception or "a model or a test failed")], batches)
