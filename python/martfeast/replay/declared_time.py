"""What a relation says of its knowledge time under ``meta.martfeast``."""

from dataclasses import dataclass
from typing import Any

from martfeast.from_dbt.node import Model, Source
from martfeast.problems import DeclarationError, did_you_mean, refusal

# When a date was known: a fact of a day may be from its last minute, a plan was made before.
END_OF_DAY, START_OF_DAY = "end_of_day", "start_of_day"
DATES_KNOWN = (END_OF_DAY, START_OF_DAY)
# Keys that take a reason, in words.
REASONS = ("timeless", "trusted")
KEYS = (*REASONS, "date_known_at")


@dataclass(frozen=True)
class DeclaredTime:
    """When rows were known, as far as event_time does not say it.

    timeless: why they were always known; '' unless it is declared. trusted: why event_time is right
    though nothing can show it; '' unless it is declared. date_known_at: where event_time is a date,
    when in the day it was known, of DATES_KNOWN.
    """

    timeless: str
    trusted: str
    date_known_at: str


def read_declared_time(node: Model | Source, file: str) -> DeclaredTime:
    """Return what a relation declares.

    Args:
        node: the relation.
        file: where it is written, for messages.

    Raises:
        DeclarationError: there is another key, a reason is not in words, or a value is none of
            those that there are.

    """
    given: Any = node.config.meta.get("martfeast") or {}
    if not isinstance(given, dict):
        message = f"Its meta.martfeast is {given!r}, and takes keys: {', '.join(KEYS)}."
        raise _refusal(node, message, "Write one of them, with its value.", file)
    for key in given:
        if key not in KEYS:
            advice = did_you_mean(key, KEYS, f"Keys are: {', '.join(KEYS)}.")
            raise _refusal(node, f"Its meta.martfeast has no key {key!r}.", advice, file)
    for key in REASONS:
        if key in given and (not isinstance(given[key], str) or not given[key].strip(" .\n")):
            message = f"Its meta.martfeast.{key} is {given[key]!r}, and is to say why."
            raise _refusal(node, message, "Write the reason in words.", file)
    date_known_at = given.get("date_known_at", END_OF_DAY)
    if date_known_at not in DATES_KNOWN:
        message = f"Its meta.martfeast.date_known_at is {date_known_at!r}."
        raise _refusal(node, message, f"Write one of: {', '.join(DATES_KNOWN)}.", file)
    reasons = {key: " ".join(str(given.get(key, "")).split()).rstrip(".") for key in REASONS}
    return DeclaredTime(reasons["timeless"], reasons["trusted"], date_known_at)


def _refusal(node: Model | Source, message: str, fix: str, file: str) -> DeclarationError:
    return refusal(node.alias, "wrong-value", message, fix, file)
