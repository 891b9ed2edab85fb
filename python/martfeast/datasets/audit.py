"""Measures what a dataset holds, and how it differs from the population it is drawn from."""

import math
from typing import Any

import duckdb
import numpy as np

from martfeast.datasets.drift import measure_drift, reading, stability_index
from martfeast.datasets.record import (
    FeatureDrift,
    GroupFacts,
    LabelAudit,
    Level,
    Maturity,
    MissingReason,
    Period,
    SplitDrift,
)
from martfeast.declaration.declared import ASKED_AT, Exposure, LabelMart
from martfeast.engines.duckdb import DOUBLES, in_groups, quoted, scale_of, without_nan
from martfeast.extras import extra

with extra("datasets"):
    from scipy.stats import binomtest

# Levels with fewer rows say little by themselves: they are marked.
SMALL_LEVEL = 100
MOST_LEVELS = 20
RESAMPLES = 500
NUMBERS = ("BIGINT", "INTEGER", *DOUBLES)
# Of a level: its name; rows and labels of the population; rows, finite labels and their sum in the
# dataset, and whether its labels are all 0 or 1.
Counts = tuple[str, int, int, int, int, float, bool]


def measure_label(
    connection: duckdb.DuckDBPyConnection, mart: LabelMart, population: str
) -> LabelAudit:
    """Measure how well the label covers a population, over time, and why labels are missing.

    Args:
        connection: a DuckDB.
        mart: the label mart.
        population: SQL of rows with event_timestamp, label and its known_at (null unless known)
            and the reason why there is no label, under the mart's names for them.

    Returns:
        Counts and shares, and means of finite labels; periods are months of the moment asked (days,
        if there are few months), maturity is from the moment asked to the moment the label was
        known, in minutes.

    """
    run = connection.execute
    label, known_at = quoted(mart.label.column), quoted(mart.label.known_at)
    reason = quoted(mart.label.reason_column)
    number = f"cast({label} as double)"
    scale = scale_of(connection, population, number)
    mean = f"avg({number} / {scale}) filter (isfinite({number})) * {scale}"
    ((rows, labelled, base_rate, is_share, months),) = run(
        f"select count(*), count({label}), {mean}, bool_and({number} in (0, 1)),"
        f" count(distinct date_trunc('month', {ASKED_AT})) from {population}"
    ).fetchall()
    grain, form = ("month", "%Y-%m") if months > 2 else ("day", "%Y-%m-%d")
    periods = run(
        f"select strftime(date_trunc('{grain}', {ASKED_AT}), '{form}') as period, count(*),"
        f" count({label}), {mean} from {population} group by 1 order by 1"
    ).fetchall()
    reasons = run(
        f"select coalesce({reason}, '(no reason given)'), count(*) from {population}"
        f" where {label} is null group by 1 order by 2 desc, 1"
    ).fetchall()
    ((median, p95),) = run(
        "select quantile_cont(m, 0.5), quantile_cont(m, 0.95) from (select"
        f" date_diff('minute', {ASKED_AT}, {known_at}) as m from {population}"
        f" where {label} is not null)"
    ).fetchall()
    return LabelAudit(
        rows=rows,
        labelled=labelled,
        base_rate=_rounded(base_rate),
        is_share=bool(is_share),
        periods=[
            Period(period=period, rows=n, labelled=known, base_rate=_rounded(rate))
            for period, n, known, rate in periods
        ],
        reasons=[MissingReason(reason=reason, rows=n) for reason, n in reasons],
        maturity_minutes=None if median is None else Maturity(median=median, p95=p95),
    )


def measure_groups(
    connection: duckdb.DuckDBPyConnection, mart: LabelMart, population: str, dataset: str
) -> list[GroupFacts]:
    """Measure how a dataset's rows are spread over the declared groups, next to its population's.

    Intervals are of 95%: shares and base rates by Wilson's method (E. B. Wilson, 1927), the index
    by drawing the dataset's counts 500 times from its own shares, with a fixed seed.

    Args:
        connection: a DuckDB.
        mart: the label mart, which declares the groups.
        population: SQL of its rows with the label (null unless known) and the groups.
        dataset: SQL of those among them that the dataset has.

    Returns:
        For each group its levels by size; those beyond the 20 largest are one, ``(others)``, and
        nulls are ``(none)``. A value that is called so stands in quotes.

    """
    descriptions = {column.name: column.description for column in mart.columns}
    label = quoted(mart.label.column)
    scale = scale_of(connection, dataset, f"cast({label} as double)")
    return [
        _measure_group(
            name,
            descriptions[name],
            _count_levels(connection, name, label, scale, population, dataset),
            scale,
        )
        for name in mart.label.groups
    ]


def _count_levels(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    label: str,
    scale: float,
    population: str,
    dataset: str,
) -> list[Counts]:
    """Return the levels of a group, the largest first; sums of finite labels, divided by scale."""
    number = f"cast({label} as double)"
    value = f"cast({quoted(name)} as varchar)"
    level = (
        f"case when {value} is null then '(none)'"
        f" when {value} in ('(none)', '(others)') then '''' || {value} || '''' else {value} end"
    )
    return connection.execute(
        f"""
        with counted as (
            select {level} as level, count(*) as n, count({label}) as labelled from {population}
            group by 1
        ),
        kept as (
            select {level} as level, count(*) as n, count({label}) as labelled,
                coalesce(sum({number} / {scale}) filter (isfinite({number})), 0) as total,
                count(*) filter (isfinite({number})) as finite,
                coalesce(bool_and({number} in (0, 1)), true) as is_share
            from {dataset} group by 1
        ),
        ranked as (
            select counted.*, kept.n as kept, kept.finite, kept.total, kept.is_share,
                row_number() over (order by counted.n desc, level) as place
            from counted left join kept using (level)
        )
        select if(place > {MOST_LEVELS}, '(others)', level) as level, sum(n)::bigint,
            sum(labelled)::bigint, coalesce(sum(kept), 0)::bigint,
            coalesce(sum(finite), 0)::bigint, coalesce(sum(total), 0),
            coalesce(bool_and(is_share), true)
        from ranked group by 1 order by min(place)
        """
    ).fetchall()


def _measure_group(name: str, description: str, levels: list[Counts], scale: float) -> GroupFacts:
    expected = [level[1] for level in levels]
    kept = np.array([level[3] for level in levels])
    rows, population_rows = int(kept.sum()), sum(expected)
    draws = np.random.default_rng(0).multinomial(rows, kept / rows, RESAMPLES)
    index = [stability_index(expected, draw.tolist()) for draw in draws]
    low, high = np.quantile(index, [0.025, 0.975])
    psi = stability_index(expected, kept.tolist())
    return GroupFacts(
        group=name,
        description=description,
        psi=_six_digits(psi),
        psi_low=_six_digits(min(float(low), psi)),
        psi_high=_six_digits(max(float(high), psi)),
        reading=reading(psi),
        levels=[_measure_level(level, population_rows, rows, scale) for level in levels],
    )


def _measure_level(level: Counts, population_rows: int, rows: int, scale: float) -> Level:
    name, n, labelled, kept, finite, total, is_share = level
    p, q = n / population_rows, kept / rows
    spread = ((p * (1 - p) + q * (1 - q)) / 2) ** 0.5
    low, high = _interval(kept, rows)
    rate_low, rate_high = _interval(int(total), finite) if finite and is_share else (None, None)
    return Level(
        level=name,
        population_rows=n,
        rows=kept,
        population_share=_six_digits(p),
        share=_six_digits(q),
        share_low=low,
        share_high=high,
        standardized_difference=_six_digits((q - p) / spread if spread else 0.0),
        labelled_share=_six_digits(labelled / n),
        base_rate=_rounded(total / finite * scale) if finite else None,
        base_rate_low=rate_low,
        base_rate_high=rate_high,
        is_small=kept < SMALL_LEVEL,
    )


def measure_columns(
    connection: duckdb.DuckDBPyConnection, dataset: str, types: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return of each column of a dataset: share missing, least, mean, greatest, distinct values.

    They are the fields of ColumnFacts that are measured. NaN is missing. Numbers that are infinite
    are left out of least, mean and greatest.
    """
    measured = {}
    for names in in_groups(types):
        values, finite, parts = [], [], []
        for number, name in enumerate(names):
            type_, value, usable = types[name], f"v{number}", f"x{number}"
            values.append(f"{without_nan(quoted(name), type_)} as {value}")
            # Not a filter of each aggregate: DuckDB compares what is repeated with all the rest.
            is_finite = f"isfinite({value})" if type_ in DOUBLES else "true"
            finite.append(f"{value}, case when {is_finite} then {value} end as {usable}")
            average = f"avg({usable})" if type_ in NUMBERS else "null"
            least, greatest = f"min({usable})", f"max({usable})"
            if type_.endswith("[]"):
                least, greatest = "null", "null"
            parts.append(
                f"[1 - count({value}) / count(*), {average},"
                f" least(approx_count_distinct({value}), count({value}))],"
                f" [cast({least} as varchar), cast({greatest} as varchar)]"
            )
        (row,) = connection.execute(
            f"select {', '.join(parts)} from"
            f" (select {', '.join(finite)} from (select {', '.join(values)} from {dataset}))"
        ).fetchall()
        for number, name in enumerate(names):
            (missing, mean, distinct), (least, greatest) = row[2 * number : 2 * number + 2]
            if mean is not None and not math.isfinite(mean):
                mean = _scaled_mean(connection, dataset, without_nan(quoted(name), types[name]))
            as_number = float if types[name] in NUMBERS else str
            measured[name] = {
                "missing_share": _rounded(missing),
                "minimum": least and as_number(least),
                "mean": _rounded(mean),
                "maximum": greatest and as_number(greatest),
                "distinct": int(distinct),
            }
    return measured


def _scaled_mean(connection: duckdb.DuckDBPyConnection, dataset: str, column: str) -> float:
    """Return the mean of finite doubles whose sum is beyond the greatest one."""
    scale = scale_of(connection, dataset, column)
    ((mean,),) = connection.execute(
        f"select avg({column} / {scale}) filter (isfinite({column})) from {dataset}"
    ).fetchall()
    return float(mean * scale)


def count_infinite(
    connection: duckdb.DuckDBPyConnection, dataset: str, types: dict[str, str]
) -> dict[str, int]:
    """Return in how many rows of a dataset each column is infinite, of those that are in some."""
    found: dict[str, int] = {}
    for names in in_groups(name for name, type_ in types.items() if type_ in DOUBLES):
        counts = ", ".join(f"count_if(isinf({quoted(name)}))" for name in names)
        (row,) = connection.execute(f"select {counts} from {dataset}").fetchall()
        found |= {name: count for name, count in zip(names, row, strict=True) if count}
    return found


def count_split(
    connection: duckdb.DuckDBPyConnection, dataset: str, label: str
) -> dict[str, tuple[int, int]]:
    """Return of the train and the test rows how many have a label, and how many labels differ."""
    sql = f"select count({quoted(label)}), count(distinct {quoted(label)}) from {dataset}"
    return {
        part: connection.execute(f"{sql} where split = '{part}'").fetchall()[0]
        for part in ("train", "test")
    }


def measure_split(
    connection: duckdb.DuckDBPyConnection, dataset: str, exposure: Exposure
) -> SplitDrift | None:
    """Return how features drift from the train rows to the test rows; None without both."""
    parts = [f"{dataset} where split = '{part}'" for part in ("train", "test")]
    rows = [connection.execute(f"select count(*) from {part}").fetchall()[0][0] for part in parts]
    if not all(rows):
        return None
    return SplitDrift(
        between=("train", "test"),
        rows=(rows[0], rows[1]),
        threshold=exposure.drift_threshold,
        features=[
            FeatureDrift(
                column=drift.column,
                psi=_six_digits(drift.psi),
                standardized_difference=_rounded(drift.standardized_difference),
                missing_shares=(
                    _six_digits(drift.missing_shares[0]),
                    _six_digits(drift.missing_shares[1]),
                ),
                reading=drift.reading,
            )
            for drift in measure_drift(connection, parts[0], parts[1], exposure.features)
        ],
    )


def _interval(count: int, total: int) -> tuple[float, float]:
    found = binomtest(count, total).proportion_ci(method="wilson")
    return float(f"{found.low:.6g}"), float(f"{found.high:.6g}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else _six_digits(value)


def _six_digits(value: float) -> float:
    """Return a number to six digits: sums of doubles differ beyond with the order of addition."""
    return float(f"{value:.6g}")
