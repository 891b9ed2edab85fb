"""Reads what a mart says of its time: start, schedule, and the batches that it is made by."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from martfeast.declaration.declared import Batch, MartTime
from martfeast.declaration.keys import FEAST, read_keys
from martfeast.from_dbt.node import Model, feast_meta
from martfeast.places import Place
from martfeast.problems import ProblemLog

BATCH_SIZES = ("hour", "day", "month", "year")
TIME_KEYS: dict[str, type] = {"start": object, "schedule": str, "batch": dict}
_BATCH_KEYS = {"size": str, "lateness": object}
# The longest that dbt's batches of these sizes are.
_LONGEST = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s+(minute|hour|day|week)s?\s*", re.IGNORECASE)
# The fields of a cron expression: minute, hour, day of the month, month, day of the week.
_CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def duration(value: Any) -> timedelta | None:
    """Return what a number and a unit say, such as ``2 days``; None if it is no duration."""
    match = _DURATION.fullmatch(str(value))
    if match is None:
        return None
    try:
        return timedelta(**{f"{match[2].lower()}s": float(match[1])})
    except OverflowError:
        return timedelta.max


def time_keys_of(node: Model) -> dict[str, Any]:
    """Return the keys of `TIME_KEYS` that a model has under ``meta.feast``, of the right kind."""
    value = feast_meta(node)[1]
    given = value if isinstance(value, dict) else {}
    return {
        key: given[key]
        for key, kind in TIME_KEYS.items()
        if key in given and isinstance(given[key], kind)
    }


def read_mart_time(
    node: Model, keys: Mapping[str, Any], place: Place, name: str, log: ProblemLog
) -> MartTime:
    """Return what a mart says of its time; log what is wrong with it.

    Args:
        node: the mart's model; what dbt's microbatch says of it already need not be said again.
        keys: those of `TIME_KEYS` that ``meta.feast`` has, of the right kind.
        place: where the model is declared.
        name: what the mart is called.
        log: is told what is wrong.

    """
    return _TimeReader(node, keys, place, name, log).read()


class _TimeReader:
    def __init__(
        self, node: Model, keys: Mapping[str, Any], place: Place, name: str, log: ProblemLog
    ) -> None:
        self.config = node.config
        self.keys = keys
        self.place = place.at(*FEAST)
        self.name = name
        self.log = log

    def read(self) -> MartTime:
        begin = _moment(self.config.begin)
        start = self._said("start", _moment, "Write a date or a moment in UTC: 2024-01-31.")
        if start and begin and start != begin:
            self._add(
                "start",
                "start-differs",
                f"start is {start:%Y-%m-%d %H:%M}, and dbt's begin is {begin:%Y-%m-%d %H:%M}.",
                "Remove start: a microbatch mart starts at its begin.",
            )
        schedule = self._said(
            "schedule",
            _cron,
            "Write five fields, minute to day of the week, in UTC: '30 6 * * *'.",
        )
        return MartTime(start or begin, schedule or "", self._batch())

    def _said(self, key: str, read: Callable[[Any], Any], fix: str) -> Any:
        value = self.keys.get(key)
        if value is None:
            return None
        found = read(value)
        if found is None:
            self._add(key, f"{key}-unreadable", f"'{value}' is no {key}.", fix)
        return found

    def _batch(self) -> Batch | None:
        said = self.keys.get("batch")
        is_microbatch = self.config.incremental_strategy == "microbatch"
        dbts_size = (self.config.batch_size or "").lower() if is_microbatch else ""
        if said is None and not dbts_size:
            return None
        place = self.place.at("batch")
        keys = read_keys(said or {}, _BATCH_KEYS, place, f"{self.name}.batch", self.log)
        size = str(keys.get("size", dbts_size or "day")).lower()
        if size not in BATCH_SIZES:
            fix = f"Write one of: {', '.join(BATCH_SIZES)}."
            self._add("batch", "batch-size-unknown", f"'{size}' is no size of a batch.", fix)
            return None
        if dbts_size and size != dbts_size:
            self._add(
                "batch",
                "batch-size-differs",
                f"size is {size}, and dbt makes batches of a {dbts_size}.",
                "Remove size: a microbatch mart has its batch_size.",
            )
        looked_back = _LONGEST[size] * (1 if self.config.lookback is None else self.config.lookback)
        lateness = duration(keys["lateness"]) if "lateness" in keys else looked_back
        if lateness is None or lateness > timedelta(days=36_525):
            fix = "Write a number and a unit, for example: 2 days"
            message = f"'{keys['lateness']}' is no sensible duration."
            self._add("batch", "lateness-unreadable", message, fix)
            return None
        if is_microbatch and lateness > looked_back:
            self._add(
                "batch",
                "lateness-not-looked-back",
                f"Facts may come {keys['lateness']} late, and dbt makes batches anew only"
                f" {self.config.lookback} back.",
                f"Set lookback: {-(-lateness // _LONGEST[size])}.",
            )
        return Batch(size, lateness)

    def _add(self, key: str, rule: str, message: str, fix: str) -> None:
        self.log.add(self.place.at(key), f"{self.name}.{key}", rule, message, fix)


def _moment(value: Any) -> datetime | None:
    """Return a moment in UTC, without zone; None if it is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _cron(value: str) -> str | None:
    """Return a cron expression as it is; None if it is none."""
    fields = value.split()
    if len(fields) != len(_CRON_FIELDS):
        return None
    for field, (least, most) in zip(fields, _CRON_FIELDS, strict=True):
        for part in field.split(","):
            match = _CRON_PART.fullmatch(part)
            numbers = [int(one) for one in match.groups()[:2] if one] if match else [-1]
            is_within = all(least <= one <= most for one in numbers)
            if not is_within or numbers != sorted(numbers) or (match and match[3] == "0"):
                return None
    return value
