"""Criteria of history: do feature history, versions and sharing work."""

from collections.abc import Iterator

from martfeast.declaration.declared import Exposure, FeatureMart, Mart
from martfeast.gate.criterion import HISTORY, Criterion, Finding, some
from martfeast.gate.evidence import Evidence
from martfeast.published.release import ColumnDifferences, column_differences


def _published(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    verdict = evidence.verdict(mart)
    version = verdict.version
    if version is None:
        why = f": {some(verdict.held_back)}" if verdict.held_back else ""
        message = f"No version of it is published{why}."
        yield Finding(message, f"Run {evidence.build} and mend what is held back.", mart.place)
        return
    changed = evidence.changed_since(mart, version.lineage)
    if changed:
        why = f" ({some(verdict.held_back)})" if verdict.held_back else ""
        yield Finding(
            f"The code of {some(changed)} has changed since version {version.name} was"
            f" published{why}.",
            f"Run {evidence.build}.",
            mart.place,
        )
        return
    if damage := version.file.damage:
        yield Finding(
            f"{version.path} {damage}.",
            f"Remove it, then run {evidence.build}: it publishes the mart anew.",
            mart.place,
        )
        return
    contract = {column.name: column.type for column in mart.columns}
    differences = column_differences(version.path, contract)
    if differences.unreadable:
        again = f"then run {evidence.build}: it publishes the mart anew."
        fix = f"Remove the file if it is there, {again}"
        yield Finding(f"{differences}.", fix, mart.place)
    elif str(differences):
        file = evidence.project.artifacts.file_of_node(evidence.model(mart))
        yield Finding(
            f"Version {version.name} differs from the contract: {differences}.",
            f"Run {evidence.build}. If they still differ, the YAML and {file} do:"
            f" {_to_agree(mart, differences)}.",
            mart.place,
        )


def _to_agree(mart: Mart, differences: ColumnDifferences) -> str:
    """Return what to change in contract or model, so that they have the same columns."""
    types = {column.name: column.data_type for column in mart.columns}
    undeclared = {name.lower(): name for name in differences.undeclared}
    by_case = {n: undeclared[n.lower()] for n in differences.missing if n.lower() in undeclared}
    steps = [f"write {name} as {there} in columns" for name, there in by_case.items()]
    if missing := [name for name in differences.missing if name not in by_case]:
        steps.append(f"take {', '.join(missing)} out of columns, or select it in the model")
    if added := [name for name in differences.undeclared if name not in by_case.values()]:
        steps.append(f"add {', '.join(added)} to columns, or take it out of the model")
    for name, found, _ in differences.retyped:
        cast = f"cast {name} to {types.get(name)} in the model"
        steps.append(f"{cast}, or correct its data_type, for it is {found} there")
    return "; ".join(steps)


def _history_unchanged(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    if version is None or mart.restatement.expected:
        return
    history = version.history
    restated, covered = history.restated_row_count, history.covered_row_count
    if restated > covered * mart.restatement.tolerance_share:
        allowed = mart.restatement.tolerance_share
        more = f" and {allowed:.2%} are allowed" if allowed else ""
        where = f", in {history.newest()}" if history.restated_partitions else ""
        yield Finding(
            f"Of {covered:,} rows that were published before, {restated:,} are lost or others in"
            f" version {version.name}{where}{more}: models learned from rows that are no more.",
            "Mend the data or the model, then run `dbt build`. If it is meant, say so under"
            " meta.feast: restatement: {expected: <why>}, and train anew.",
            mart.place,
        )


def _schema_compatible(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not isinstance(mart, FeatureMart):
        return
    exposures = evidence.project.declaration.exposures
    for service, views in evidence.registered.services.items():
        exposure = exposures.get(service)
        changes = _changes(evidence, mart, views.get(mart.name), exposure)
        if changes and exposure is None:
            yield Finding(
                f"Exposure '{service}' is registered with it and gone from dbt, and"
                f" {some(changes)}.",
                "Put the exposure back; or, if nobody uses it, apply its removal before this one.",
                mart.place,
            )
        elif changes:
            yield Finding(
                f"Exposure '{service}' uses what is registered, and {some(changes)}.",
                "Leave this model as it is and make the change in a new model version"
                " (versions: in its YAML), which the exposure can move to.",
                mart.place,
            )


def _changes(
    evidence: Evidence,
    mart: FeatureMart,
    registered: dict[str, str] | None,
    exposure: Exposure | None,
) -> list[str]:
    """Return how a mart differs from what a service has registered of it, as words.

    registered: the type of each of its features; None if the service has none of it.
    """
    used = exposure.features_by_mart.get(mart.name) if exposure else list(registered or {})
    if registered is None or used is None:
        return []
    types = {column.name: str(column.type) for column in mart.columns}
    takes_all = exposure is None or mart.name in exposure.takes_all_of
    changes = []
    for name, type_ in registered.items():
        if name not in mart.features:
            if takes_all or name in used:
                changes.append(f"feature {name} is gone")
        elif name in used and types[name] != type_:
            changes.append(f"feature {name} was {type_} and is {types[name]}")
    keys = {name: types[name] for name in mart.entity_columns}
    before = evidence.registered.keys.get(mart.name, keys)
    if before != keys:
        changes.append(f"its keys were {_pairs(before)} and are {_pairs(keys)}")
    return changes


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in sorted(values.items()))


PUBLISHED = Criterion(
    "published",
    HISTORY,
    "A version is published that the code as it is now made, with the contract's columns.",
    _published,
    is_fixed=True,
)
HISTORY_UNCHANGED = Criterion(
    "history_unchanged",
    HISTORY,
    "It still has the rows that were published of times gone by, but for a declared share.",
    _history_unchanged,
)
SCHEMA_COMPATIBLE = Criterion(
    "schema_compatible",
    HISTORY,
    "It still has every feature that a registered exposure uses, with its type.",
    _schema_compatible,
)
