"""Measures how far the distribution of columns moved between two relations."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from martfeast.declaration.declared import DIFFERENT, LOOK
from martfeast.engines.duckdb import COLUMNS_AT_ONCE, in_groups, quoted, scale_of, without_nan

BINS, LEVELS = 10, 20
VALUES_AT_ONCE = 20_000_000
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT")


@dataclass(frozen=True)
class Drift:
    """How a column is distributed in two relations, before and after.

    psi: the population stability index. standardized_difference: of the means, in pooled standard
    deviations; None where there is no mean. missing_shares: before and after, 0 to 1.
    """

    column: str
    psi: float
    standardized_difference: float | None
    missing_shares: tuple[float, float]

    @property
    def reading(self) -> str:
        """The index in a word: alike, look or different."""
        return reading(self.psi)


def reading(psi: float) -> str:
    """Return a population stability index in a word: alike, look or different."""
    return "alike" if psi < LOOK else "look" if psi < DIFFERENT else "different"


def stability_index(before: Iterable[float], after: Iterable[float]) -> float:
    """Return the population stability index of two lists of counts over the same bins.

    It is the sum over bins of (a - b) * ln(a / b), with a and b the shares of a bin: the symmetric
    Kullback-Leibler divergence (S. Kullback, R. Leibler, 1951). Half a row is added to each bin, so
    that an empty one does not make it infinite.
    """
    pairs = [(b + 0.5, a + 0.5) for b, a in zip(before, after, strict=True)]
    total_before, total_after = sum(b for b, _ in pairs), sum(a for _, a in pairs)
    shares = [(b / total_before, a / total_after) for b, a in pairs]
    return math.fsum((a - b) * math.log(a / b) for b, a in shares)


def standardized_difference(
    means: tuple[float | None, float | None], variances: tuple[float | None, float | None]
) -> float | None:
    """Return the difference of two means in pooled standard deviations; None without spread."""
    (m1, m2), (v1, v2) = means, variances
    if m1 is None or m2 is None or v1 is None or v2 is None:
        return None
    spread = math.sqrt((v1 + v2) / 2)
    if spread == 0:
        return 0.0 if m1 == m2 else None
    return (m2 - m1) / spread


def measure_drift(
    connection: duckdb.DuckDBPyConnection, before: str, after: str, names: list[str]
) -> list[Drift]:
    """Measure the drift of columns that two relations have.

    Numbers and times of more than 20 values are divided at the tenths of those before; of all other
    columns each of the 20 most frequent values before is a bin, and the rest is one. Null is a bin
    of its own where it occurs, and NaN is null. Means are of finite numbers.

    Args:
        connection: a DuckDB.
        before: SQL of a relation with rows, as it stands after FROM; a WHERE may follow it.
        after: SQL of another.
        names: columns of both.

    """
    found = []
    sides = [(before, column_types(connection, before)), (after, column_types(connection, after))]
    counts = ", ".join(f"(select count(*) from {rows})" for rows, _ in sides)
    row_count = sum(connection.execute(f"select {counts}").fetchall()[0])
    # Not a statement for each column, which would read about all columns of a wide file; and few
    # at a time of many rows: the relations may be larger than memory.
    for group in in_groups(names, max(1, min(COLUMNS_AT_ONCE, VALUES_AT_ONCE // row_count))):
        selects = []
        for is_after, (rows, types) in zip(("false", "true"), sides, strict=True):
            values = [
                f", {without_nan(quoted(name), types[name])} as v{number}"
                for number, name in enumerate(group)
            ]
            selects.append(f"select {is_after} as is_after{''.join(values)} from {rows}")
        connection.execute(
            f"create or replace temp table drifting as {' union all '.join(selects)}"
        )
        found += [
            _measure_column(connection, name, f"(select is_after, v{number} as v from drifting)")
            for number, name in enumerate(group)
        ]
    connection.execute("drop table if exists drifting")
    return found


def column_types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return DuckDB's types of the columns of a relation, given as SQL after FROM."""
    described = connection.execute(f"describe from {relation}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def _measure_column(connection: duckdb.DuckDBPyConnection, name: str, drifting: str) -> Drift:
    run = connection.execute
    ((type_, distinct),) = run(
        f"select any_value(typeof(v)), approx_count_distinct(v) from {drifting}"
    ).fetchall()
    is_number = type_.startswith(NUMBERS) and not type_.endswith("[]")
    value = "v" if is_number or type_.startswith("TIMESTAMP") else "cast(v as varchar)"
    if value == "v" and distinct > LEVELS:
        shares = [number / BINS for number in range(1, BINS)]
        ((edges,),) = run(
            f"select list_distinct(quantile_disc(v, {shares})) from {drifting} where not is_after"
        ).fetchall()
        edges = sorted(edges or [])
        steps = ["cast(v > ? as integer)" for _ in edges] or ["0"]
        bins, parameters = f"coalesce({' + '.join(steps)}, -1)", edges
    else:
        levels = [
            row[0]
            for row in run(
                f"select {value} from {drifting} where v is not null and not is_after"
                f" group by 1 order by count(*) desc, 1 limit {LEVELS}"
            ).fetchall()
        ]
        bins = f"case when v is null then -1 else coalesce(list_position(?, {value}), 0) end"
        parameters = [levels]
    counts = run(
        f"select {bins} as bin, count(*) filter (not is_after), count(*) filter (is_after)"
        f" from {drifting} group by bin order by bin",
        parameters,
    ).fetchall()
    number = "cast(v as double)" if is_number else "cast(null as double)"
    scale = scale_of(connection, drifting, number) if type_ == "DOUBLE" else 1.0
    mean = ", ".join(f"{what}(x / {scale}) filter (isfinite(x))" for what in ("avg", "var_pop"))
    rows = run(
        f"select count(*), count(v), {mean} from (select *, {number} as x from {drifting})"
        " group by is_after order by is_after"
    ).fetchall()
    (rows_1, known_1, mean_1, variance_1), (rows_2, known_2, mean_2, variance_2) = rows
    return Drift(
        name,
        stability_index([row[1] for row in counts], [row[2] for row in counts]),
        standardized_difference((mean_1, mean_2), (variance_1, variance_2)),
        (1 - known_1 / rows_1, 1 - known_2 / rows_2),
    )
