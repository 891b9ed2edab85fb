"""``martfeast.expose``: what ``feast apply`` finds, and what it tells OpenLineage once applied."""

import sys
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

import click

from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.openlineage.sending import Sender
from martfeast.to_feast.expose import expose as expose_objects

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent


def expose(
    namespace: MutableMapping[str, object],
    dbt_project: ProjectLike,
    target_path: str | None = None,
) -> None:
    """Put a dbt project's Feast objects into a module, where ``feast apply`` finds them.

    This is the gate: unless every mart is ready, nothing is put there and Feast stops. Under
    ``feast apply`` it also locks the registry until the process ends, because Feast reads the whole
    registry file and writes it back: of two applies at once the later would undo the earlier. Once
    it has applied, that is told to OpenLineage, if that is set up.

    Args:
        namespace: the module's ``globals()``.
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: dbt's target folder, if it is not the project's usual one.

    Raises:
        SystemExit: the declaration has problems or marts are not ready; the report is printed, and
            the code is that of its cause. Feast then stops before it touches the registry.

    """
    exposed = expose_objects(namespace, dbt_project, target_path)
    context = click.get_current_context(silent=True)
    sender = Sender()
    if not sender.is_on or context is None or context.info_name != "apply":
        return

    def events() -> "Iterator[RunEvent]":
        from martfeast.openlineage.applied import apply_events

        yield from apply_events(exposed)

    def applied() -> None:
        if sys.exc_info()[0] is None:
            sender.send(events)

    context.call_on_close(applied)
