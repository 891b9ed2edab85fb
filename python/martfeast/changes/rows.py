"""What differs between the rows of a mart in two builds, by key."""

from collections.abc import Iterator
from dataclasses import dataclass

from martfeast.changes.side import Side
from martfeast.datasets.drift import Drift, column_types, measure_drift
from martfeast.declaration.declared import LOOK, FeatureMart, Mart
from martfeast.engines.duckdb import connect_in_utc, parquet_rows, quoted
from martfeast.published.release import PublishedVersion


@dataclass(frozen=True)
class RowChange:
    """How the rows of a mart differ.

    before, after: the names of the versions. new, gone, kept: counts of rows by key. changed: of
    the rows that both have, how many have another value, by column, those with none left out.
    drift: of features whose distribution moved so far that it is worth a look.
    """

    mart: str
    before: str
    after: str
    new: int
    gone: int
    kept: int
    changed: dict[str, int]
    drift: list[Drift]


def compare_rows(base: Side, head: Side) -> Iterator[RowChange]:
    """Yield how the rows differ of marts of which both states have published another version."""
    for name, after in head.declaration.own_marts.items():
        before = base.declaration.own_marts.get(name)
        if before is None:
            continue
        old, new = _version(base, before), _version(head, after)
        if old is None or new is None or old.content_hash == new.content_hash:
            continue
        yield _row_change(after, old, new)


def _version(side: Side, mart: Mart) -> PublishedVersion | None:
    return side.release.verdict(mart.unique_id).version


def _row_change(mart: Mart, old: PublishedVersion, new: PublishedVersion) -> RowChange:
    with connect_in_utc() as connection:
        before, after = parquet_rows(old.path), parquet_rows(new.path)
        both = column_types(connection, before).keys() & column_types(connection, after).keys()
        shared = [column.name for column in mart.columns if column.name in both]
        keys = [*mart.keys, mart.timestamp]
        others = [name for name in shared if name not in (*keys, mart.created)]
        on = " and ".join(f"b.{quoted(one)} is not distinct from a.{quoted(one)}" for one in keys)
        counts = ["count(*) filter (b.is_row is null)", "count(*) filter (a.is_row is null)"]
        is_kept = "b.is_row and a.is_row"
        counts.append(f"count(*) filter ({is_kept})")
        counts += [
            f"count(*) filter ({is_kept} and b.{quoted(one)} is distinct from a.{quoted(one)})"
            for one in others
        ]
        ((new_count, gone, kept, *changed),) = connection.execute(
            f"select {', '.join(counts)} from (select true as is_row, * from {before}) as b"
            f" full join (select true as is_row, * from {after}) as a on {on}"
        ).fetchall()
        by_column = {name: count for name, count in zip(others, changed, strict=True) if count}
        drift = []
        if isinstance(mart, FeatureMart) and kept + gone and kept + new_count:
            features = [name for name in mart.features if name in others]
            drift = measure_drift(connection, before, after, features)
    far = [one for one in drift if one.psi >= LOOK]
    return RowChange(mart.name, old.name, new.name, new_count, gone, kept, by_column, far)
