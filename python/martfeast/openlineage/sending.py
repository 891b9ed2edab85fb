"""Sends events by openlineage-python's own transports and settings; a failure fails nothing."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from martfeast.extras import MissingExtraError, extra
from martfeast.problems import DeclarationError

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

Events = Callable[[], "Iterable[RunEvent]"]
CLOSING_SECONDS = 10.0
# Whose warnings are gathered into one line: the client, and what repeats its requests.
_LOGGERS = ("openlineage", "urllib3", "httpx2", "httpcore2")


def is_set_up() -> bool:
    """Tell whether openlineage-python is given settings, and is not switched off.

    It reads them itself, from the environment or from openlineage.yml, here or in the home folder.
    """
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if any(name in os.environ for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")):
        return True
    if any(name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ):
        return True
    folders = (Path.cwd(), Path("~/.openlineage").expanduser())
    return any((folder / "openlineage.yml").is_file() for folder in folders)


class Sender:
    """Sends the events of one command. Once a catalog cannot be reached, it is left alone."""

    def __init__(self) -> None:
        self.is_on = is_set_up()

    def send(self, events: Events) -> None:
        """Send events, if OpenLineage is set up; say in one line on stderr what hinders.

        Args:
            events: makes them, and is called only where they are sent. It may raise anything.

        """
        if not self.is_on:
            return
        with _gathered() as warned:
            try:
                _send(events)
                why = ""
            except DeclarationError as error:
                why = f"{error.problems[0].subject}: {error.problems[0].message}"
            except MissingExtraError as error:
                why = str(error)
            except Exception as error:  # whatever a catalog, a transport or its settings raise
                why = f"{type(error).__name__}: {error}"
        if why:
            self.is_on = False
            _say("lineage was not sent", why, "All else is as it would be without it.")
        elif warned:
            _say("of sending lineage, OpenLineage warns", warned[-1])


def _say(what: str, why: str, then: str = "") -> None:
    """Say something in one line on stderr."""
    reason = " ".join(why.split()).rstrip(".")
    print(f"martfeast: {what}: {reason}. {then}".rstrip(), file=sys.stderr)


def _send(events: Events) -> None:
    with extra("openlineage"):
        from openlineage.client import OpenLineageClient

    client = OpenLineageClient()
    if not _has_transport(client):
        return
    try:
        for event in events():
            client.emit(event)
    finally:
        client.close(CLOSING_SECONDS)


def _has_transport(client: "OpenLineageClient") -> bool:
    """Tell whether the settings name a transport; otherwise the client would print all events."""
    return bool((client.config.transport or {}).get("type") or os.environ.get("OPENLINEAGE_URL"))


class _Gathering(logging.Handler):
    """Keeps warnings as texts."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one, with the exception that it is about."""
        error = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.getMessage()} {error or ''}")


@contextmanager
def _gathered() -> Iterator[list[str]]:
    """Gather what is logged of sending: transports that do not raise, such as async_http, log."""
    said: list[str] = []
    handler = _Gathering(said)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield said
    finally:
        for logger, propagates in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagates
