"""What differs between two states of a project: features, marts, exposures, replays."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from martfeast.changes.side import Side
from martfeast.declaration.declared import Column, Exposure, FeatureMart, LabelMart, Mart
from martfeast.lineage.columns import column_called
from martfeast.lineage.traced import ColumnKey

ADDED, GONE, RETYPED = "added", "gone", "retyped"
REDEFINED, UNKNOWN = "redefined", "unknown"
INCOMPATIBLE, RETRAIN = "incompatible", "retrain"


@dataclass(frozen=True)
class ColumnChange:
    """A feature or a label that is another. mart, name: its own. kind: how. why: in words."""

    mart: str
    name: str
    kind: str
    why: str

    @property
    def breaks(self) -> bool:
        """Whether who reads it cannot go on as before."""
        return self.kind in (GONE, RETYPED)


@dataclass(frozen=True)
class MartChange:
    """What else is another of a mart. said: a sentence for each thing. breaks: of who reads it."""

    mart: str
    said: tuple[str, ...]
    breaks: bool = False


@dataclass(frozen=True)
class ExposureChange:
    """What a change means for a model. kind: incompatible or retrain. why: a sentence for each.

    dataset: the number of the newest training set that was built before; 0 if none was.
    """

    exposure: str
    owner: str
    kind: str
    why: tuple[str, ...]
    dataset: int = 0


@dataclass(frozen=True)
class Changes:
    """All that differs. stale_replays: the marts whose replays said nothing of this code."""

    base: str
    columns: tuple[ColumnChange, ...]
    marts: tuple[MartChange, ...]
    exposures: tuple[ExposureChange, ...]
    stale_replays: tuple[str, ...]

    @property
    def breaks(self) -> bool:
        """Whether something that others read is gone or is another."""
        found: list[ColumnChange | MartChange] = [*self.columns, *self.marts]
        return any(one.breaks for one in found) or any(
            one.kind == INCOMPATIBLE for one in self.exposures
        )

    def __bool__(self) -> bool:
        return bool(self.columns or self.marts or self.exposures or self.stale_replays)


def compare(base: Side, head: Side) -> Changes:
    """Compare two states of a project, by their code and not by their rows."""
    before, after = base.declaration.own_marts, head.declaration.own_marts
    columns: list[ColumnChange] = []
    marts: list[MartChange] = []
    stale: list[str] = []
    for name in sorted({*before, *after}):
        if name not in after:
            marts.append(MartChange(name, ("It is gone.",), breaks=True))
        elif name not in before:
            marts.append(MartChange(name, ("It is new.",)))
        else:
            if base.code(before[name].unique_id) != head.code(after[name].unique_id):
                stale.append(name)
            marts += _mart_change(base, head, before[name], after[name])
        columns += _column_changes(base, head, before.get(name), after.get(name))
    exposures = list(_exposure_changes(base, head, columns))
    return Changes(base.name, tuple(columns), tuple(marts), tuple(exposures), tuple(stale))


# Columns


def _read_columns(mart: Mart | None) -> dict[str, Column]:
    """Return what others read of a mart: its features, or its label and what else a dataset has."""
    if isinstance(mart, FeatureMart):
        wanted = set(mart.features)
    elif isinstance(mart, LabelMart):
        wanted = set(mart.label.columns)
    else:
        return {}
    return {column.name: column for column in mart.columns if column.name in wanted}


def _column_changes(
    base: Side, head: Side, before: Mart | None, after: Mart | None
) -> Iterator[ColumnChange]:
    old, new = _read_columns(before), _read_columns(after)
    mart = (after or before).name  # type: ignore[union-attr]  # one of them is there
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield ColumnChange(mart, name, GONE, "")
        elif name not in old:
            yield ColumnChange(mart, name, ADDED, new[name].description)
        elif old[name].data_type != new[name].data_type:
            why = f"its type was {old[name].data_type} and is {new[name].data_type}."
            yield ColumnChange(mart, name, RETYPED, why)
        elif before is not None and after is not None:
            yield from _redefined(base, head, before, after, name)


def _redefined(
    base: Side, head: Side, before: Mart, after: Mart, name: str
) -> Iterator[ColumnChange]:
    """Say whether a column that both have is computed otherwise."""
    old_key = ColumnKey(before.unique_id, name.lower())
    new_key = ColumnKey(after.unique_id, name.lower())
    if base.code(before.unique_id) == head.code(after.unique_id):
        return
    old, new = base.lineage.definition(old_key), head.lineage.definition(new_key)
    if not old or not new:
        said = {**_untraced(base, before.unique_id), **_untraced(head, after.unique_id)}
        why = "; ".join(f"{name} is not traced: {reason}" for name, reason in said.items())
        yield ColumnChange(after.name, name, UNKNOWN, f"{why}.")
    elif old != new:
        yield ColumnChange(after.name, name, REDEFINED, _where(base, head, old_key, new_key))
    elif seeds := _other_seeds(base, head, new_key):
        why = f"it is computed of other rows of {', '.join(seeds)}."
        yield ColumnChange(after.name, name, REDEFINED, why)


def _untraced(side: Side, unique_id: str) -> dict[str, str]:
    """Return why models above a mart could not be traced; what they keep from it is left out."""
    found: dict[str, str] = {}
    for one in side.graph.upstream(unique_id):
        why = side.lineage.untraced.get(one)
        if why and not set(side.graph.upstream(one)) & {*found} - {one}:
            found[one] = why
    return {side.graph.models[one].alias: why for one, why in found.items()}


def _where(base: Side, head: Side, old_key: ColumnKey, new_key: ColumnKey) -> str:
    """Say in which columns above, or itself, the SQL differs."""
    others, new = [], []
    for key in (new_key, *head.lineage.upstream(new_key)):
        was = base.lineage.columns.get(key.unique_id, {}).get(key.column)
        if was is None:
            new.append(column_called(head.graph, key))
        elif was.definition != head.lineage.traced(key).definition:
            others.append(column_called(head.graph, key))
    gone = set(base.lineage.upstream(old_key)) - set(head.lineage.upstream(new_key))
    said = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("other SQL of", others),
            ("it reads now", new),
            ("it no longer reads", [column_called(base.graph, key) for key in sorted(gone)]),
        )
        if names
    ]
    return f"{'; '.join(said) or 'rows that it is computed of are chosen otherwise'}."


def _other_seeds(base: Side, head: Side, key: ColumnKey) -> list[str]:
    """Return the seeds with other rows that a column is computed of."""
    read = {one.unique_id for one in head.lineage.upstream(key)}
    return [
        model.name
        for unique_id, model in head.graph.models.items()
        if unique_id in read and model.resource_type == "seed"
        if unique_id in base.graph.models
        and base.graph.models[unique_id].code.checksum != model.code.checksum
    ]


# Marts


def _mart_change(base: Side, head: Side, before: Mart, after: Mart) -> Iterator[MartChange]:
    said, breaks = [], False
    for what, old, new in (
        ("entities", before.entity_columns, after.entity_columns),
        ("timestamp", [before.timestamp], [after.timestamp]),
    ):
        if old != new:
            breaks = True
            said.append(f"Its {what} was {', '.join(old)} and is {', '.join(new)}.")
    if isinstance(before, FeatureMart) and isinstance(after, FeatureMart):
        if before.ttl != after.ttl:
            said.append(f"Its ttl was {before.ttl or 'none'} and is {after.ttl or 'none'}.")
        if before.online != after.online:
            said.append("It is served online now." if after.online else "It is not served online.")
    if type(before) is not type(after):
        breaks = True
        said.append("It was a label mart." if isinstance(before, LabelMart) else "It has labels.")
    if base.code(before.unique_id) != head.code(after.unique_id):
        old_rows = base.lineage.rows_definition(before.unique_id)
        new_rows = head.lineage.rows_definition(after.unique_id)
        if not old_rows or not new_rows:
            said.append("Whether it has other rows is not known: it could not be traced.")
        elif old_rows != new_rows:
            said.append("Which rows it has is decided otherwise.")
    if said:
        yield MartChange(after.name, tuple(said), breaks)


# Exposures


def _exposure_changes(
    base: Side, head: Side, columns: list[ColumnChange]
) -> Iterator[ExposureChange]:
    before, after = base.declaration.exposures, head.declaration.exposures
    for name in sorted({*before, *after}):
        if name not in after:
            yield _exposure_change(head, before[name], INCOMPATIBLE, ("it is gone",))
            continue
        old, new = before.get(name), after[name]
        if old is None:
            continue
        lost = [one for one in old.references if one not in new.references]
        gained = [one for one in new.references if one not in old.references]
        hit = [one for one in columns if _is_taken(one, old) or _is_taken(one, new)]
        breaking = _by_kind(one for one in hit if one.breaks)
        breaking += [f"no longer taken: {', '.join(lost)}"] * bool(lost := _still(lost, hit))
        others = _by_kind(one for one in hit if one.kind in (REDEFINED, UNKNOWN))
        others += [f"taken now: {', '.join(gained)}"] * bool(gained)
        if breaking or others:
            kind = INCOMPATIBLE if breaking else RETRAIN
            yield _exposure_change(head, new, kind, (*breaking, *others))


def _exposure_change(
    head: Side, exposure: Exposure, kind: str, why: tuple[str, ...]
) -> ExposureChange:
    folder = head.artifacts.datasets_path / exposure.name
    return ExposureChange(exposure.name, exposure.owner, kind, why, _newest_dataset(folder))


def _newest_dataset(folder: Path) -> int:
    numbers = [int(one.parent.name) for one in folder.glob("[0-9]*/dataset.json")]
    return max(numbers, default=0)


def _is_taken(change: ColumnChange, exposure: Exposure) -> bool:
    label = exposure.label_mart
    if label is not None and label.name == change.mart:
        return True
    return change.name in exposure.features_by_mart.get(change.mart, [])


def _by_kind(changes: Iterable[ColumnChange]) -> list[str]:
    """Return a line for each kind of change, with the columns that changed so."""
    found: dict[str, list[str]] = {}
    for one in changes:
        found.setdefault(one.kind, []).append(f"{one.mart}:{one.name}")
    return [f"{kind}: {', '.join(names)}" for kind, names in found.items()]


def _still(references: list[str], changes: list[ColumnChange]) -> list[str]:
    """Return the features that are not taken any more, and yet are there as they were."""
    broken = {f"{one.mart}:{one.name}" for one in changes if one.breaks}
    return [one for one in references if one not in broken]
