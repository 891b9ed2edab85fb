"""Values and moments in words, as people read them."""

from datetime import UTC, datetime

from martfeast.datasets.record import Level

READINGS = {"alike": "alike", "look": "look closer", "different": "different"}


def percent(share: float) -> str:
    """Return a share in percent, never rounded to a 0% or 100% that it is not."""
    if share in (0, 1):
        return f"{share:.0%}"
    for decimals in (1, 2):
        text = f"{share:.{decimals}%}"
        if float(text[:-1]) not in (0, 100):
            return text
    return "<0.01%" if share < 0.5 else ">99.99%"


def number(value: float | str | bool | None) -> str:
    """Return a value of a column for reading: four digits that count, moments without the T."""
    if value is None:
        return ""
    if isinstance(value, str):
        return moment(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def moment(text: str) -> str:
    """Return an ISO moment as 2013-01-31 or 2013-01-31 05:00, in UTC; other text unchanged."""
    try:
        parsed = datetime.fromisoformat(text)
        parsed = parsed.astimezone(UTC) if parsed.tzinfo else parsed
    except (ValueError, OverflowError):
        return text
    if len(text) <= len("2013-01-31"):
        return text
    return parsed.strftime("%Y-%m-%d" if parsed.time() == parsed.time().min else "%Y-%m-%d %H:%M")


def duration(minutes: float) -> str:
    """Return minutes in the unit a person would use."""
    for unit, size in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes / size:.1f} {unit}"
    return f"{minutes:.0f} minutes"


def index(psi: float) -> str:
    """Return a population stability index for reading."""
    return "<0.001" if 0 < psi < 0.0005 else f"{psi:.3f}"


def extremes(levels: list[Level], key: str) -> tuple[Level, Level] | None:
    """Return the levels with the lowest and the highest value of a key, if they differ.

    Levels of few rows are passed over: their values say little.
    """
    known = sorted(
        (one for one in levels if getattr(one, key) is not None and not one.is_small),
        key=lambda level: float(getattr(level, key)),
    )
    if not known or getattr(known[0], key) == getattr(known[-1], key):
        return None
    return known[0], known[-1]
