"""What a column's name says by the house's own rules: its unit and its window, in words."""

import re

_UNITS = {
    "share": "share, 0 to 1",
    "percent": "percent",
    "count": "count",
    "ratio": "ratio",
    "score": "score",
    **dict.fromkeys(("seconds", "second"), "seconds"),
    **dict.fromkeys(("minutes", "minute"), "minutes"),
    **dict.fromkeys(("hours", "hour"), "hours"),
    **dict.fromkeys(("days", "day"), "days"),
    **dict.fromkeys(("weeks", "months", "years"), ""),
    "miles": "miles",
    "feet": "feet",
    "inches": "inches",
    "kilometres": "kilometres",
    "kilometers": "kilometers",
    "metres": "metres",
    "meters": "meters",
    "knots": "knots",
    "mph": "miles per hour",
    "fahrenheit": "degrees Fahrenheit",
    "celsius": "degrees Celsius",
    "degrees": "degrees",
    "millibars": "millibars",
    "kilograms": "kilograms",
    "bytes": "bytes",
    "usd": "US dollars",
    "eur": "euros",
    "gbp": "pounds sterling",
}
_UNITS |= {name: name for name, said in _UNITS.items() if not said}
_WINDOW = re.compile(r"(\d+)(min|s|m|h|d|w|y)$")
_UNSAFE = re.compile(r"[^\w.-]+")
_PERIODS = {
    "s": "second",
    "min": "minute",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "y": "year",
}


def words_of(name: str) -> list[str]:
    """Return the words of a name, split at underscores."""
    return [word for word in name.lower().split("_") if word]


def unit_of(name: str) -> str:
    """Return the unit that a name has as its last word but for a window; empty if it has none.

    A unit in the middle of a name is no unit: ``day_of_week`` is not in days.
    """
    words = [word for word in words_of(name) if not _WINDOW.match(word)]
    return _UNITS.get(words[-1], "") if len(words) > 1 else ""


def window_of(name: str) -> str:
    """Return the window that a name says, such as ``last 24 hours``; empty if it says none."""
    for word in reversed(words_of(name)):
        if found := _WINDOW.match(word):
            count, period = int(found[1]), _PERIODS[found[2]]
            return f"last {count} {period}s" if count != 1 else f"last {period}"
    return ""


def in_words(minutes: float) -> str:
    """Return a duration in minutes in the largest unit that divides it."""
    for period, size in (("week", 10_080), ("day", 1440), ("hour", 60)):
        if minutes >= size and minutes % size == 0 and (period != "week" or minutes >= 4 * size):
            count = round(minutes / size)
            return f"{count} {period}{'s' if count != 1 else ''}"
    return f"{minutes:g} minutes"


def title_of(name: str) -> str:
    """Return a name as a title for people."""
    return name.replace("_", " ").capitalize()


def slug(name: str) -> str:
    """Return a name as it is in an address: what is no letter, digit, dot or dash is a _."""
    return _UNSAFE.sub("_", name).strip("._") or "unnamed"
