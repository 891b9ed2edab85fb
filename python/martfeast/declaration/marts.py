"""Reads marts from the graph: models with ``config.meta.feast``."""

from datetime import timedelta
from typing import Any

from martfeast.declaration.declared import (
    Column,
    FeatureMart,
    Label,
    LabelMart,
    Mart,
    Restatement,
)
from martfeast.declaration.keys import FEAST, read_keys
from martfeast.declaration.mart_rules import check_mart
from martfeast.declaration.mart_time import TIME_KEYS, duration, read_mart_time
from martfeast.feature_types import feature_type
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Model, Node, Source, feast_meta
from martfeast.from_dbt.tested import unique_columns
from martfeast.places import Place
from martfeast.problems import ProblemLog
from martfeast.published.release import PUBLISHED_AT, PublishedVersion, Release

_MART_KEYS = {
    "timestamp": str,
    "ttl": object,
    "online": bool,
    "created": str,
    "label": dict,
    "waivers": list,
    "restatement": dict,
    "materialize": str,
    **TIME_KEYS,
}
_LABEL_MART_KEYS = {
    "timestamp": str,
    "label": dict,
    "waivers": list,
    "restatement": dict,
    **TIME_KEYS,
}
_RESTATEMENT_KEYS = {"tolerance_share": object, "expected": str}
_LABEL_KEYS = {"column": str, "known_at": str, "missing_reason": str, "groups": list}
_COLUMN_KEYS = {"entity": str, "feature": bool, "profile": bool}


def read_marts(artifacts: Artifacts, release: Release, log: ProblemLog) -> list[Mart]:
    """Return every mart of the graph, by name; log what is wrong with each by itself.

    A mart with problems is returned too, as far as it can be read, so that what depends on it is
    judged as well.
    """
    marts: list[Mart] = []
    graph = artifacts.graph
    nodes: list[Node] = [*graph.models.values(), *graph.tests.values(), *graph.sources.values()]
    # dbt's own order differs from parse to parse, and so would that of the problems.
    for node in sorted(nodes, key=lambda node: node.unique_id):
        has_feast, value = feast_meta(node)
        if not has_feast:
            _check_no_column_declares(artifacts, node, log)
        elif isinstance(node, Model) and node.resource_type == "model":
            version = release.verdict(node.unique_id).version
            place = artifacts.place(node)
            marts.append(_MartReader(graph, node, version, place, node.alias, log).read(value))
        elif not is_shared(node):
            log.add(
                artifacts.place(node),
                node.name,
                "not-a-model",
                f"A {node.resource_type} cannot be a mart.",
                "Move meta.feast to a model on top of it; or, if a source is another project's"
                " mart, name the folder that it is published in: published_path.",
            )
    return sorted(marts, key=lambda mart: (mart.name, mart.unique_id))


def read_mart_of(
    graph: Graph,
    unique_id: str,
    version: PublishedVersion | None,
    place: Place,
    name: str,
    log: ProblemLog,
) -> Mart:
    """Return the mart that a model declares; log what is wrong with it.

    Args:
        graph: with the model and its tests.
        unique_id: of the model.
        version: what is published of it.
        place: where it is declared.
        name: what it is called.
        log: where problems go.

    """
    node = graph.models[unique_id]
    return _MartReader(graph, node, version, place, name, log).read(feast_meta(node)[1])


def is_shared(node: Node) -> bool:
    """Tell whether a node is a source that stands for another project's mart."""
    value = feast_meta(node)[1]
    return isinstance(node, Source) and isinstance(value, dict) and "published_path" in value


def _check_no_column_declares(artifacts: Artifacts, node: Node, log: ProblemLog) -> None:
    for name, column in node.columns.items():
        if feast_meta(column)[0]:
            log.add(
                artifacts.place(node).at(("columns", name), *FEAST),
                f"{node.name}.{name}",
                "mart-not-declared",
                f"The column has meta.feast, and '{node.name}' itself has none.",
                "Add meta.feast with a timestamp to the model, or remove it from the column.",
            )


class _MartReader:
    def __init__(
        self,
        graph: Graph,
        node: Model,
        version: PublishedVersion | None,
        place: Place,
        name: str,
        log: ProblemLog,
    ) -> None:
        self.graph = graph
        self.node = node
        self.version = version
        self.place = place
        self.name = name
        self.log = log

    def read(self, value: Any) -> Mart:
        is_label_mart = isinstance(value, dict) and "label" in value
        kinds = _LABEL_MART_KEYS if is_label_mart else _MART_KEYS
        keys = read_keys(value, kinds, self.place.at(*FEAST), self.name, self.log)
        label = Label("", "", None)
        if "label" in keys:
            label = self._read_label(keys["label"])
        if isinstance(value, dict) and "timestamp" not in value:
            self._add(
                self.place.at(*FEAST),
                "timestamp",
                "timestamp-missing",
                "The mart does not say which column tells when a row was known.",
                "Add timestamp: <column> under meta.feast.",
            )
        common = self._common(keys, is_label_mart)
        mart: Mart
        if is_label_mart:
            natural_key = self._natural_key(common["columns"], common["timestamp"], label)
            mart = LabelMart(label=label, natural_key=natural_key, **common)
        else:
            ttl = self._read_ttl(keys["ttl"]) if keys.get("ttl") is not None else None
            self._check_materialize(keys.get("materialize", "changed"))
            mart = FeatureMart(ttl=ttl, online=keys.get("online", True), **common)
        if len(common["waivers"]) < len(keys.get("waivers", [])):
            self._add(
                self.place.at(*FEAST, "waivers"),
                "waivers",
                "wrong-value",
                "A waiver is not a mapping.",
                "Write {criterion: <name>, reason: <why>, until: YYYY-MM-DD}.",
            )
        check_mart(mart, self.log)
        return mart

    def _common(self, keys: dict[str, Any], is_label_mart: bool) -> dict[str, Any]:
        """Return what both kinds of marts have."""
        timestamp, created = keys.get("timestamp", ""), keys.get("created", PUBLISHED_AT)
        sharing = self.node.sharing
        return {
            "name": self.name,
            "unique_id": self.node.unique_id,
            "description": self.node.description.strip(),
            "group": sharing.group or "",
            "owner": self.graph.owner_of(sharing.group),
            "timestamp": timestamp,
            "created": created,
            "columns": self._read_columns({timestamp, created}, is_label_mart),
            "model_version": str(sharing.version or ""),
            "deprecation_date": sharing.deprecation_date or "",
            "restatement": self._read_restatement(keys.get("restatement", {})),
            "time": read_mart_time(self.node, keys, self.place, self.name, self.log),
            "waivers": [one for one in keys.get("waivers", []) if isinstance(one, dict)],
            "version": self.version,
            "place": self.place,
        }

    def _add(self, place: Place, part: str, rule: str, message: str, fix: str) -> None:
        self.log.add(place, f"{self.name}.{part}" if part else self.name, rule, message, fix)

    def _read_label(self, value: dict[str, Any]) -> Label:
        place = self.place.at(*FEAST, "label")
        keys = read_keys(value, _LABEL_KEYS, place, f"{self.name}.label", self.log)
        for key in ("column", "known_at"):
            if key not in value:
                self._add(
                    place,
                    f"label.{key}",
                    "label-incomplete",
                    f"The label has no {key}.",
                    f"Add {key}: <column> under label.",
                )
        return Label(
            keys.get("column", ""),
            keys.get("known_at", ""),
            keys.get("missing_reason"),
            [str(name) for name in keys.get("groups", [])],
        )

    def _natural_key(self, columns: list[Column], timestamp: str, label: Label) -> tuple[str, ...]:
        """Return the columns besides entities and moment that a test says tell rows apart."""
        keys = {column.name.lower() for column in columns if column.entity is not None}
        keys.add(timestamp.lower())
        # What becomes known later tells no row apart when it is asked for.
        later = {label.column, label.known_at, label.missing_reason}
        names = {column.name.lower(): column.name for column in columns}
        usable = {name for name, written in names.items() if written not in later}
        unique = [one for one in unique_columns(self.graph, self.node.unique_id) if one <= usable]
        if not unique or any(one <= keys for one in unique):
            return ()
        shortest = min(unique, key=lambda one: (len(one), sorted(one)))
        return tuple(written for name, written in names.items() if name in shortest - keys)

    def _read_restatement(self, value: dict[str, Any]) -> Restatement:
        place = self.place.at(*FEAST, "restatement")
        subject = f"{self.name}.restatement"
        keys = read_keys(value, _RESTATEMENT_KEYS, place, subject, self.log)
        share = keys.get("tolerance_share", 0.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            self._add(
                place,
                "restatement",
                "wrong-value",
                f"tolerance_share is {share!r}, and must be a share of the rows, below 1.",
                "Write 0.001 for one row in a thousand; or expected: <why>, if all may change.",
            )
            share = 0.0
        return Restatement(float(share), keys.get("expected", "").strip())

    def _read_ttl(self, value: Any) -> timedelta | None:
        ttl = duration(value)
        place = self.place.at(*FEAST, "ttl")
        fix = "Write a number and a unit, for example: 2 days"
        if ttl is None:
            self._add(place, "ttl", "ttl-unreadable", f"'{value}' is not a duration.", fix)
            return None
        if not timedelta(seconds=1) <= ttl <= timedelta(days=36_525):
            fix = "Write one from a second to 100 years, or leave ttl out for no expiry."
            self._add(place, "ttl", "ttl-out-of-range", f"'{value}' is no sensible TTL.", fix)
            return None
        return ttl

    def _check_materialize(self, value: str) -> None:
        if value != "changed":
            place = self.place.at(*FEAST, "materialize")
            message = f"'{value}' is not what `martfeast materialize` writes."
            fix = "Write changed: the rows that differ from what the online store has."
            self._add(place, "materialize", "materialize-unknown", message, fix)

    def _read_columns(self, times: set[str], is_label_mart: bool) -> list[Column]:
        columns = []
        for name, column in self.node.columns.items():
            place = self.place.at(("columns", name))
            keys = {}
            has_feast, value = feast_meta(column)
            if has_feast:
                subject = f"{self.name}.{name}"
                keys = read_keys(value, _COLUMN_KEYS, place.at(*FEAST), subject, self.log)
            entity = keys.get("entity")
            if entity is not None and "feature" in keys:
                self._add(
                    place.at(*FEAST),
                    name,
                    "entity-and-feature",
                    "A column is an entity or a feature, and this one says both.",
                    "Remove one of `entity` and `feature`.",
                )
            data_type = column.data_type or ""
            if not data_type:
                fix = "Add data_type to the column."
                self._add(place, name, "data-type-missing", "The contract has no type.", fix)
            is_other = entity is not None or name in times or is_label_mart
            columns.append(
                Column(
                    name=name,
                    data_type=data_type,
                    type=feature_type(data_type),
                    description=column.description.strip(),
                    entity=entity,
                    is_feature=keys.get("feature", True) and not is_other,
                    is_profiled=keys.get("profile", True),
                )
            )
        return columns
