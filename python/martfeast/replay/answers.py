"""Compares what two ways to the same features give."""

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from martfeast.declaration.declared import Mart

if TYPE_CHECKING:
    import pandas as pd

WHOLE_SECONDS = (
    ". Feast serves a timestamp in whole seconds online, and training has its fractions: write"
    " date_trunc('second', ...) in the model, or online: false under meta.feast"
)


class Mismatch(Exception):
    """Two ways to the same features do not agree."""


def require_same(mart: Mart, a: "pd.DataFrame", b: "pd.DataFrame", what: str) -> None:
    """Raise Mismatch unless two frames have the same rows, in any order."""
    if len(a) != len(b):
        raise Mismatch(f"{what} {len(b)} rows where today's mart gives {len(a)}")
    keys = mart.entity_columns
    features = [name for name in a.columns if name in b.columns and name not in keys]
    a, b = (frame.sort_values(keys, kind="stable").reset_index(drop=True) for frame in (a, b))
    for name in [*keys, *features]:
        for row, (left, right) in enumerate(zip(a[name], b[name], strict=True)):
            if not _same(left, right):
                key = ", ".join(f"{key} {a[key][row]}" for key in keys)
                why = WHOLE_SECONDS if _is_cut_to_seconds(left, right) else ""
                raise Mismatch(f"{what} {name} {right} for {key}, and today's mart {left}{why}")


def _is_cut_to_seconds(left: Any, right: Any) -> bool:
    """Tell whether two moments, or two lists of them, are the same but for parts of a second."""
    left, right = _plain(left), _plain(right)
    if isinstance(left, list) and isinstance(right, list):
        pairs = list(zip(left, right, strict=False))
        return len(left) == len(right) and all(
            _same(a, b) or _is_cut_to_seconds(a, b) for a, b in pairs
        )
    if isinstance(left, datetime) and isinstance(right, datetime):
        return abs(left - right) < timedelta(seconds=1)
    return False


def _same(left: Any, right: Any) -> bool:
    left, right = _plain(left), _plain(right)
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)


def _plain(value: Any) -> Any:
    """Return a value as Python has it: None for every kind of nothing, lists for arrays."""
    import pandas as pd

    if hasattr(value, "tolist") and not isinstance(value, pd.Timestamp):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value] or None  # Feast serves no list as an empty one
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, datetime):
        at = pd.Timestamp(value)
        return at.tz_convert("UTC").tz_localize(None) if at.tzinfo else at
    return value
