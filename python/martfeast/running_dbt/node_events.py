"""The end of each node as a line of JSON, for who runs dbt and shows what it does.

dbt's own structured log says it at level debug only, among very much else.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

# What such a line is called, and dbt's event that it comes from.
NODE_FINISHED = "martfeast.node_finished"
DBT_NODE_FINISHED = "NodeFinished"


def print_node_finished(
    event: Any, describe: Callable[[str], Mapping[str, Any]] | None = None
) -> None:
    """Print the line of one of dbt's events, if it is a node's end.

    Args:
        event: as dbt tells it to callbacks.
        describe: returns more to say of a node that has succeeded, by its unique_id.

    """
    if event.info.name != DBT_NODE_FINISHED:
        return
    from dbt_common.events.functions import msg_to_dict

    said = msg_to_dict(event)["data"]
    info = {"name": NODE_FINISHED, "invocation_id": event.info.invocation_id}
    line = {"node_info": said["node_info"], "run_result": said["run_result"]}
    if describe and line["run_result"].get("status") == "success":
        line |= describe(line["node_info"]["unique_id"])
    # One write, so that lines of several threads do not mix.
    text = json.dumps({"info": info, "data": line}, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
