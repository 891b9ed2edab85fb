"""What changed between two versions of a dataset, as sentences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from martfeast.datasets.drift import measure_drift
from martfeast.datasets.folder import DATA
from martfeast.datasets.record import ColumnFacts, DatasetRecord, Inputs
from martfeast.declaration.declared import LOOK
from martfeast.engines.duckdb import in_groups, parquet_rows, quoted

# Told of mart by mart, or in other words.
_TOLD_OTHERWISE = ("marts", "registry", "features", "about")


def find_changes(
    connection: duckdb.DuckDBPyConnection,
    before: tuple[Path, DatasetRecord],
    inputs: Inputs,
    columns: list[ColumnFacts],
    data: Path,
    keys: list[str],
) -> list[str]:
    """Return what changed since another version.

    Args:
        connection: a DuckDB.
        before: the folder and the record of the other version.
        inputs: of this version.
        columns: of this version.
        data: this version's Parquet file.
        keys: the columns by which rows are the same in both.

    """
    path, old = before
    found = [*_in_inputs(old.inputs, inputs), *_in_columns(old.columns, columns)]
    if not (path / DATA).exists():
        return [*found, f"version {old.number} has no {DATA} to compare rows with"]
    types = {column.name: column.type for column in old.columns}
    same = [
        column.name
        for column in columns
        if column.role in ("label", "label known at", "feature")
        and types.get(column.name) == column.type
    ]
    rows, old_rows = parquet_rows(data), parquet_rows(path / DATA)
    shared = [name for name in keys if name in types]
    found += changes_in_rows(connection, old_rows, rows, shared, same)
    found += [
        f"{drift.column} is distributed otherwise: index {drift.psi:.2f} ({drift.reading})"
        for drift in sorted(
            measure_drift(connection, old_rows, rows, same), key=lambda drift: -drift.psi
        )
        if drift.psi >= LOOK
    ]
    names = [column.name for column in columns]
    if list(types) != names and set(types) == set(names):
        found.append("the order of the columns")
    return found


def _in_inputs(old: Inputs, new: Inputs) -> Iterator[str]:
    flat, old_flat = _flat(new), _flat(old)
    for key, value in flat.items():
        if old_flat[key] != value:
            yield f"{key}: {_shown(old_flat[key])} is now {_shown(value)}"
    if new.registry != old.registry:
        yield "what Feast's registry holds of it has changed"
    old_marts = {one.mart: one for one in old.marts}
    for one in new.marts:
        was = old_marts.get(one.mart)
        if was and was.version != one.version:
            yield (
                f"{one.mart}: version {was.version} ({was.rows:,} rows) is now"
                f" {one.version} ({one.rows:,} rows)"
            )
        if was and was.code_checksum != one.code_checksum:
            yield f"{one.mart}: the code or a seed under it has changed"


def _flat(inputs: Inputs) -> dict[str, Any]:
    """Return the inputs that are told by their names."""
    fields = inputs.model_dump(by_alias=True, exclude=set(_TOLD_OTHERWISE))
    return {**fields, **inputs.about.model_dump()}


def _in_columns(old: list[ColumnFacts], new: list[ColumnFacts]) -> Iterator[str]:
    types = {column.name: column.type for column in new}
    old_types = {column.name: column.type for column in old}
    yield from (f"column {name} is new" for name in types if name not in old_types)
    yield from (f"column {name} is gone" for name in old_types if name not in types)
    for name, type_ in types.items():
        if old_types.get(name, type_) != type_:
            yield f"column {name} was {old_types[name]} and is {type_}"


def changes_in_rows(
    connection: duckdb.DuckDBPyConnection, old: str, new: str, keys: list[str], names: list[str]
) -> Iterator[str]:
    """Yield how many rows are new, are gone, and have changed in some of the columns, as words.

    old, new: SQL of two relations. keys: the columns by which rows are the same in both. names: the
    columns to compare.
    """
    on = " and ".join(f"a.{quoted(name)} is not distinct from b.{quoted(name)}" for name in keys)
    ((added, gone),) = connection.execute(
        "select count_if(b.is_there is null), count_if(a.is_there is null)"
        f" from (select *, true as is_there from {new}) as a"
        f" full join (select *, true as is_there from {old}) as b on {on}"
    ).fetchall()
    yield from (f"{n:,} rows are {word}" for n, word in ((added, "new"), (gone, "gone")) if n)
    for group in in_groups(names):
        counts = [f"count_if(a.{quoted(name)} is distinct from b.{quoted(name)})" for name in group]
        (changed,) = connection.execute(
            f"select {', '.join(counts)} from {new} as a join {old} as b on {on}"
        ).fetchall()
        for name, n in zip(group, changed, strict=True):
            if n:
                yield f"{name} has changed in {n:,} rows"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
