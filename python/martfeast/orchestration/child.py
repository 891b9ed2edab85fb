"""What runs in the process of a command: it ends when the one that started it ends.

The command comes as a line of JSON on standard input, which has no limit of length as the arguments
of a process have. Standard input then stays open for as long as the other process lives.
"""

import importlib.metadata
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from martfeast.running_dbt.node_events import print_node_finished

GRACE_SECONDS = 20
COUNTED = ("table", "incremental", "seed", "snapshot")


def main() -> None:
    """Run the command that standard input names."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_caller, daemon=True).start()
    program, arguments = asked["program"], asked["arguments"]
    sys.argv = [program, *arguments]
    if program == "dbt":
        raise SystemExit(_run_dbt(arguments, asked["is_described"]))
    scripts = importlib.metadata.entry_points(group="console_scripts", name=program)
    command: Callable[[], Any] = next(iter(scripts)).load()
    raise SystemExit(command())


def _end_with_caller() -> None:
    """Wait until nobody holds the other end of standard input; interrupt this process then."""
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _run_dbt(arguments: list[str], is_described: bool) -> int:
    """Run dbt as its command does, and print a line more at the end of each node."""
    from dbt.cli.main import dbtRunner

    seen: dict[str, dict[str, str]] = {}

    def describe(unique_id: str) -> Mapping[str, Any]:
        try:
            return _describe(unique_id, seen)
        except Exception as error:  # whatever an adapter raises: the node itself is done
            return {"not_described": str(error)}

    def heard(event: Any) -> None:
        print_node_finished(event, describe if is_described else None)

    done = dbtRunner(callbacks=[heard]).invoke(arguments)
    if done.exception:
        # dbt's command prints it, and its runner leaves that to who calls it.
        print(done.exception, flush=True)
        return 2
    return 0 if done.success else 1


def _describe(unique_id: str, seen: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return the columns of a relation that was built, and its rows unless it is a view.

    Those of its parents come along, because who reads lineage out of SQL needs them.

    Args:
        unique_id: of a model, seed or snapshot; of others nothing is returned.
        seen: columns by unique_id that were asked for already; those asked for now are added.

    """
    from dbt.adapters.factory import FACTORY

    adapter: Any = next(iter(FACTORY.adapters.values()))
    manifest: Any = adapter.get_macro_resolver()
    node = manifest.nodes.get(unique_id)
    if node is None or not node.is_relational:
        return {}

    def columns(one: str) -> dict[str, str]:
        if one not in seen or one == unique_id:
            relation = _relation(adapter, manifest.nodes.get(one) or manifest.sources[one])
            found = adapter.get_columns_in_relation(relation)
            seen[one] = {column.name: column.data_type for column in found}
        return seen[one]

    with adapter.connection_named(f"martfeast_{unique_id}"):
        described: dict[str, Any] = {"columns": columns(unique_id)}
        described["parents"] = {
            one: columns(one)
            for one in node.depends_on_nodes
            if one in manifest.sources or manifest.nodes[one].config.materialized != "ephemeral"
        }
        if node.config.materialized in COUNTED:
            count = f"select count(*) from {_relation(adapter, node).render()}"
            _, rows = adapter.execute(count, fetch=True)
            described["row_count"] = int(rows[0][0])
        return described


def _relation(adapter: Any, node: Any) -> Any:
    return adapter.Relation.create_from(adapter.config, node)


if __name__ == "__main__":
    main()
