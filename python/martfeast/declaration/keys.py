"""Reads the keys of ``meta.feast``, and says what is wrong with each."""

from collections.abc import Mapping
from typing import Any

from martfeast.places import Place
from martfeast.problems import ProblemLog, did_you_mean

# The way to `meta.feast` from a model, column or exposure in YAML.
FEAST = ("config", "meta", "feast")

_KIND_NAMES = {
    str: "text",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    object: "a value",
}


def read_keys(
    value: Any, kinds: Mapping[str, type], place: Place, subject: str, log: ProblemLog
) -> dict[str, Any]:
    """Return the known keys whose values are of the right kind; log every other key."""
    if not isinstance(value, dict):
        fix = f"Write a mapping with: {', '.join(kinds)}."
        log.add(place, subject, "wrong-value", f"{value!r} is not a mapping.", fix)
        return {}
    read = {}
    for key, item in value.items():
        key_place, key_subject = place.at(str(key)), f"{subject}.{key}"
        if key not in kinds:
            fix = did_you_mean(key, kinds, f"Known keys here: {', '.join(kinds)}.")
            log.add(key_place, key_subject, "unknown-key", f"'{key}' is not a key here.", fix)
        elif not isinstance(item, kinds[key]) or item == "":
            fix = f"Write {_KIND_NAMES[kinds[key]]}."
            log.add(key_place, key_subject, "wrong-value", f"{item!r} does not fit here.", fix)
        else:
            read[key] = item
    return read
