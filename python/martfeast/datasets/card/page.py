"""A dataset's record as one HTML page, for people; drawn from the record and nothing else.

The same record gives the same bytes. Its fields are read by name in ``page.html.jinja``.
"""

from itertools import groupby
from typing import Any

from martfeast.datasets.card.templates import environment, tick
from martfeast.datasets.card.wording import extremes, number, percent
from martfeast.datasets.record import ColumnFacts, DatasetRecord, GroupFacts
from martfeast.declaration.declared import DIFFERENT, LOOK

Json = dict[str, Any]

_NICE_TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def card_html(record: DatasetRecord) -> str:
    """Return one HTML page that needs nothing else: no network, no script, no font.

    Args:
        record: what was measured of a saved training set.

    Returns:
        The page. Everything that comes from the record is escaped.

    """
    return environment().get_template("page.html.jinja").render(**_view(record)).lstrip()


def _view(record: DatasetRecord) -> Json:
    """Return what the template draws: the record, and what is worked out from it."""
    audit, drift = record.label_audit, record.drift
    periods = audit.periods
    names = [period.period for period in periods]
    labelled = [each.labelled / each.rows if each.rows else None for each in periods]
    rates = [period.base_rate for period in periods]
    is_share = audit.is_share
    known = [rate for rate in rates if rate is not None]
    scale = _scale(known, is_share, room=1.15) if known else None
    columns = record.columns
    missing = sorted(
        (column for column in columns if column.missing_share > 0),
        key=lambda column: (-column.missing_share, column.name),
    )
    drifted = sorted(
        drift.features if drift else [], key=lambda feature: (-feature.psi, feature.column)
    )
    return {
        "record": record,
        "labelled_share": audit.labelled / audit.rows if audit.rows else 0,
        "labelled_line": _line(names, labelled, (0, 1)),
        "rate_line": _line(names, rates, scale) if scale else None,
        "rate_name": "Base rate" if is_share else "Mean of the label",
        "is_share": is_share,
        "percent": percent,
        "rate": percent if is_share else number,
        "share_tick": tick,
        "rate_tick": tick if is_share else number,
        "ticks": _ticks(names),
        "groups": [_group(group, audit.base_rate, is_share) for group in record.groups],
        "missing": missing,
        "drifted": drifted,
        "drift_top": max([1.5 * drift.threshold, *(f.psi for f in drifted)]) if drift else 1,
        "marts": _marts(record),
        "replayed": {replay.mart: replay for replay in record.replays},
        "look": LOOK,
        "different": DIFFERENT,
    }


def _nice_top(highest: float) -> float:
    return next((top for top in _NICE_TOPS if top >= highest), max(1.0, highest))


def _scale(values: list[float], is_share: bool, room: float = 1) -> tuple[float, float]:
    """Return the ends of a scale for values of a label: from 0, unless there are lower ones.

    room: above the highest share, as a factor.
    """
    if is_share:
        return 0, _nice_top(room * max(values))
    low, high = min(0, *values), max(0, *values)
    return (low, high) if low < high else (low - 1, high + 1)


def _line(names: list[str], values: list[float | None], scale: tuple[float, float]) -> Json:
    """Return a line over periods in percent of a plot's width and height, y downwards.

    Periods without a value break the line; a run of one is a dot.
    """
    width, (low, high) = max(len(values) - 1, 1), scale
    every: list[Json | None] = [
        {
            "name": name,
            "value": value,
            "x": round(100 * place / width if len(values) > 1 else 50, 2),
            "y": round(100 - 100 * ((value / 2 - low / 2) / (high / 2 - low / 2)), 2),
        }
        if value is not None
        else None
        for place, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    runs = [[point for point in run if point] for known, run in groupby(every, bool) if known]
    points = [point for run in runs for point in run]
    return {
        "low": low,
        "middle": (low + high) / 2,
        "top": high,
        "points": points,
        "runs": runs,
        "highest": max(points, key=lambda point: point["value"], default=None),
        "lowest": min(points, key=lambda point: point["value"], default=None),
    }


def _ticks(names: list[str]) -> list[Json]:
    """Return up to four periods to name below a plot, the first and the last among them.

    As many as fit side by side on a phone, which has room for about 36 letters.
    """
    last = len(names) - 1
    if last < 1:
        return [{"name": name, "x": 50} for name in names]
    count = min(last, 3, max(1, 36 // max(map(len, names)) - 1))
    places = sorted({round(last * tick / count) for tick in range(count + 1)})
    return [{"name": names[place], "x": round(100 * place / last, 2)} for place in places]


def _group(group: GroupFacts, base_rate: float | None, is_share: bool) -> Json:
    """Return a group with the scales that its levels share."""
    levels = group.levels
    keys = ("base_rate_low", "base_rate", "base_rate_high")
    rates = [rate for level in levels for key in keys if (rate := getattr(level, key)) is not None]
    shares = [getattr(level, key) for level in levels for key in ("population_share", "share_high")]
    return {
        **dict(group),
        "share_top": _nice_top(max(shares, default=1)),
        "rate_scale": _scale([*rates, base_rate or 0], is_share) if rates else None,
        "labelled": extremes(levels, "labelled_share"),
        "psi_top": max(1.6 * DIFFERENT, 1.1 * group.psi_high),
    }


def _marts(record: DatasetRecord) -> list[Json]:
    """Return the columns by mart, each mart with the path that most of its columns came along."""
    versions = {mart.mart: mart for mart in record.inputs.marts}
    marts = []
    for name in dict.fromkeys(column.mart for column in record.columns):
        columns = [
            {**dict(column), "path": _path(column)}
            for column in record.columns
            if column.mart == name
        ]
        paths = [column["path"] for column in columns]
        marts.append(
            {
                "name": name,
                "version": versions.get(name or ""),
                "columns": columns,
                "path": max(paths, key=paths.count) if name else [],
            }
        )
    return marts


def _path(column: ColumnFacts) -> list[str]:
    """Return the way of a column from its sources to Feast, a step a text."""
    mart = column.mart
    if mart is None:
        return []
    path = column.path
    steps = [" + ".join(path.sources)] if path.sources else []
    return [*steps, *(model for model in path.models if model != mart), mart]
