"""Reads marts from the manifest: models with ``config.meta.feast``."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from martfeast.declaration.declared import ASKED_AT, SPLIT, Column, Label, Mart
from martfeast.declaration.keys import FEAST, feast_meta, owner_name, read_keys
from martfeast.feature_types import (
    BOOL,
    ENTITY_TYPES,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    TIMESTAMP,
    cast_to,
    feature_type,
)
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.places import Place
from martfeast.problems import ProblemLog, did_you_mean
from martfeast.published.release import PUBLISHED_AT, Release

T = TypeVar("T")
_MART_KEYS = {
    "timestamp": str,
    "ttl": object,
    "online": bool,
    "created": str,
    "label": dict,
    "waivers": list,
}
_LABEL_MART_KEYS = {"timestamp": str, "label": dict, "waivers": list}
_LABEL_KEYS = {"column": str, "known_at": str, "missing_reason": str, "groups": list}
_GROUP_TYPES = (*ENTITY_TYPES, BOOL)
_LABEL_TYPES = (BOOL, INT32, INT64, FLOAT32, FLOAT64)
_COLUMN_KEYS = {"entity": str, "feature": bool}

# Names that Feast's offline stores give to columns of their own (ibis.py drops a feature `rn`; the
# Spark template has the others), and endings that they drop after their joins.
_RESERVED_NAMES = {
    "created_timestamp",
    "entity_row_id",
    "entity_timestamp",
    "event_expire_timestamp",
    "event_timestamp",
    "rn",
    "row_number",
}
_RESERVED_ENDINGS = ("_y", "__entity_row_unique_id")


def read_marts(artifacts: Artifacts, release: Release, log: ProblemLog) -> list[Mart]:
    """Return every mart of the manifest, by name; log what is wrong with each by itself.

    A mart with problems is returned too, as far as it can be read, so that what depends on it is
    judged as well.
    """
    marts = []
    sources = artifacts.manifest.get("sources", {})
    for node in [*artifacts.manifest["nodes"].values(), *sources.values()]:
        has_feast, value = feast_meta(node)
        if not has_feast:
            _check_no_column_declares(artifacts, node, log)
        elif node["resource_type"] == "model":
            marts.append(_MartReader(artifacts, node, release, log).read(value))
        else:
            log.add(
                _place(artifacts, node),
                node["name"],
                "not-a-model",
                f"A {node['resource_type']} cannot be a mart.",
                "Move meta.feast to a model on top of it.",
            )
    return sorted(marts, key=lambda mart: (mart.name, mart.unique_id))


def _place(artifacts: Artifacts, node: Mapping[str, Any]) -> Place:
    """Return where a node is described, or else its own file."""
    if node.get("patch_path"):
        file = artifacts.file_of(*node["patch_path"].split("://", 1))
        return Place(artifacts.project_dir, file, ((f"{node['resource_type']}s", node["name"]),))
    file = artifacts.file_of(node["package_name"], node["original_file_path"])
    return Place(artifacts.project_dir, file)


def _check_no_column_declares(
    artifacts: Artifacts, node: Mapping[str, Any], log: ProblemLog
) -> None:
    for name, column in (node.get("columns") or {}).items():
        if feast_meta(column)[0]:
            log.add(
                _place(artifacts, node).at(("columns", name), *FEAST),
                f"{node['name']}.{name}",
                "mart-not-declared",
                f"The column has meta.feast, and '{node['name']}' itself has none.",
                "Add meta.feast with a timestamp to the model, or remove it from the column.",
            )


class _MartReader:
    def __init__(
        self, artifacts: Artifacts, node: dict[str, Any], release: Release, log: ProblemLog
    ) -> None:
        self.artifacts = artifacts
        self.node = node
        self.verdict = release.verdicts.get(node["unique_id"])
        self.log = log
        self.name = str(node["alias"])
        self.place = _place(artifacts, node)

    def read(self, value: Any) -> Mart:
        is_label_mart = isinstance(value, dict) and "label" in value
        kinds = _LABEL_MART_KEYS if is_label_mart else _MART_KEYS
        keys = read_keys(value, kinds, self.place.at(*FEAST), self.name, self.log)
        label = None
        if is_label_mart:
            label = self._read_label(keys["label"]) if "label" in keys else Label("", "", None)
        timestamp = keys.get("timestamp", "")
        created = keys.get("created", PUBLISHED_AT)
        if isinstance(value, dict) and "timestamp" not in value:
            self._add(
                self.place.at(*FEAST),
                "timestamp",
                "timestamp-missing",
                "The mart does not say which column tells when a row was known.",
                "Add timestamp: <column> under meta.feast.",
            )
        columns = self._read_columns({timestamp, created}, is_label_mart)
        mart = Mart(
            name=self.name,
            unique_id=self.node["unique_id"],
            description=(self.node.get("description") or "").strip(),
            group=self.node.get("group") or "",
            owner=self._owner(),
            timestamp=timestamp,
            created=created,
            ttl=self._read_ttl(keys["ttl"]) if keys.get("ttl") is not None else None,
            online=keys.get("online", True),
            columns=columns,
            label=label,
            model_version=str(self.node.get("version") or ""),
            deprecation_date=str(self.node.get("deprecation_date") or ""),
            waivers=[waiver for waiver in keys.get("waivers", []) if isinstance(waiver, dict)],
            version=self.verdict.version if self.verdict else None,
            place=self.place,
        )
        self._check(mart, keys)
        return mart

    def _add(self, place: Place, part: str, rule: str, message: str, fix: str) -> None:
        self.log.add(place, f"{self.name}.{part}" if part else self.name, rule, message, fix)

    def _owner(self) -> str:
        for group in self.artifacts.manifest.get("groups", {}).values():
            if group["name"] == self.node.get("group"):
                return owner_name(group.get("owner"))
        return ""

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

    def _read_ttl(self, value: Any) -> timedelta | None:
        match = re.fullmatch(
            r"\s*(\d+(?:\.\d+)?)\s+(minute|hour|day|week)s?\s*", str(value), re.IGNORECASE
        )
        place = self.place.at(*FEAST, "ttl")
        fix = "Write a number and a unit, for example: 2 days"
        if match is None:
            self._add(place, "ttl", "ttl-unreadable", f"'{value}' is not a duration.", fix)
            return None
        try:
            ttl = timedelta(**{f"{match[2].lower()}s": float(match[1])})
        except OverflowError:
            ttl = timedelta.max
        if not timedelta(seconds=1) <= ttl <= timedelta(days=36_525):
            fix = "Write one from a second to 100 years, or leave ttl out for no expiry."
            self._add(place, "ttl", "ttl-out-of-range", f"'{value}' is no sensible TTL.", fix)
            return None
        return ttl

    def _read_columns(self, times: set[str], is_label_mart: bool) -> list[Column]:
        columns = []
        for name, column in self.node["columns"].items():
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
            data_type = column.get("data_type") or ""
            if not data_type:
                fix = "Add data_type to the column."
                self._add(place, name, "data-type-missing", "The contract has no type.", fix)
            columns.append(
                Column(
                    name=name,
                    data_type=data_type,
                    type=feature_type(data_type),
                    description=(column.get("description") or "").strip(),
                    entity=entity,
                    is_feature=keys.get("feature", True)
                    and entity is None
                    and name not in times
                    and not is_label_mart,
                )
            )
        return columns

    def _check(self, mart: Mart, keys: dict[str, Any]) -> None:
        if len(mart.waivers) < len(keys.get("waivers", [])):
            self._add(
                self.place.at(*FEAST, "waivers"),
                "waivers",
                "wrong-value",
                "A waiver is not a mapping.",
                "Write {criterion: <name>, reason: <why>, until: YYYY-MM-DD}.",
            )
        self._check_name(self.place, "", mart.name)
        if not mart.entity_columns:
            self._add(
                self.place,
                "",
                "entity-missing",
                "No column is an entity, so nothing can be looked up.",
                "Give the key column config: {meta: {feast: {entity: <name>}}}.",
            )
        if mart.label is None and not mart.features:
            fix = "Add a column with a feature, or remove meta.feast."
            self._add(self.place, "", "feature-missing", "No column is a feature.", fix)

        feast = self.place.at(*FEAST)
        if "timestamp" in keys:
            self._check_time_column(mart, "timestamp", mart.timestamp, feast.at("timestamp"))
        if "created" in keys:
            self._check_time_column(mart, "created", mart.created, feast.at("created"))
        label_columns = set()
        if mart.label is not None:
            place = feast.at("label")
            if mart.label.known_at:
                self._check_time_column(
                    mart, "label.known_at", mart.label.known_at, place.at("known_at")
                )
                if mart.label.known_at == mart.timestamp:
                    self._add(
                        place.at("known_at"),
                        "label.known_at",
                        "label-known-too-early",
                        "A label that is known when it is asked for needs no prediction.",
                        "Name the column that says when the outcome was known.",
                    )
            for key, name in (
                ("column", mart.label.column),
                ("missing_reason", mart.label.missing_reason),
            ):
                if name:
                    self._check_in_contract(mart, f"label.{key}", name, place.at(key))
            for name in mart.label.groups:
                self._check_group(mart, name, place.at("groups"))
            label_columns = {mart.label.column}
            for name in {*mart.label.columns, *mart.entity_columns}:
                if name.lower() in (ASKED_AT, SPLIT):
                    self._add(
                        self.place.at(("columns", name)),
                        name,
                        "name-reserved",
                        "Every training set has a column of this name already.",
                        "Rename the column.",
                    )
        for column in mart.columns:
            self._check_column(column, mart, column.name in label_columns)

    def _check_group(self, mart: Mart, name: str, place: Place) -> None:
        assert mart.label is not None
        column = self._check_in_contract(mart, "label.groups", name, place)
        if column is None:
            return
        if name in (mart.label.column, mart.label.missing_reason):
            self._add(
                place,
                "label.groups",
                "group-is-the-label",
                f"'{name}' is about the label, so groups by it say nothing.",
                "Take it out of groups.",
            )
        elif name.lower() == "all":
            self._add(
                place,
                "label.groups",
                "name-reserved",
                "Audits call the whole by this name.",
                "Rename the column.",
            )
        elif column.data_type and column.type not in _GROUP_TYPES:
            self._add(
                place,
                "label.groups",
                "group-type-unsupported",
                f"'{name}' is {column.data_type}, and rows are divided by text, whole numbers or"
                " true and false.",
                "Add a column with bands of it to the mart, and name that.",
            )

    def _check_in_contract(self, mart: Mart, part: str, name: str, place: Place) -> Column | None:
        for column in mart.columns:
            if column.name == name:
                return column
        self._add(
            place,
            part,
            "column-not-in-contract",
            f"'{name}' is not a column of the contract.",
            did_you_mean(name, [column.name for column in mart.columns], "Add it to the columns."),
        )
        return None

    def _check_time_column(self, mart: Mart, part: str, name: str, place: Place) -> None:
        column = self._check_in_contract(mart, part, name, place)
        if column is not None and column.data_type and column.type != TIMESTAMP:
            self._add(
                place,
                part,
                "not-a-timestamp",
                f"'{name}' is {column.data_type}, and must be timestamp (UTC, without zone).",
                "Cast it in the model and correct data_type.",
            )

    def _check_column(self, column: Column, mart: Mart, is_label: bool) -> None:
        place = self.place.at(("columns", column.name))
        if column.name.lower() == PUBLISHED_AT:
            self._add(
                place,
                column.name,
                "name-reserved",
                "The publish step adds a column of this name.",
                "Rename the column.",
            )
        if column.is_feature or column.entity is not None:
            self._check_name(place, column.name, column.name)
            reserved = column.name.lower() in _RESERVED_NAMES
        else:
            reserved = False
        used = column.is_feature or column.entity is not None or column.name == mart.timestamp
        if reserved or (used and _has_reserved_form(column.name)):
            self._add(
                place,
                column.name,
                "name-reserved",
                "Feast's offline stores use this name, or drop columns named like this.",
                f"Rename the column. Reserved: {', '.join(sorted(_RESERVED_NAMES))},"
                f" a start with __, an end in {' or '.join(_RESERVED_ENDINGS)}.",
            )
        type_place = place.at("data_type")
        if column.entity is not None:
            self._check_name(place.at(*FEAST, "entity"), column.name, column.entity)
            if column.data_type and column.type not in ENTITY_TYPES:
                self._add(
                    type_place,
                    column.name,
                    "entity-type-unsupported",
                    f"An entity cannot be {column.data_type}.",
                    "Cast it to varchar, bigint or integer, and correct data_type.",
                )
        elif is_label and column.type is not None and column.type not in _LABEL_TYPES:
            self._add(
                type_place,
                column.name,
                "label-type-unsupported",
                f"A label is true or false, or a number, and this one is {column.data_type}.",
                "Make a label of it for each question, for example: outcome = 'lost' as is_lost.",
            )
        elif (column.is_feature or is_label) and column.data_type and column.type is None:
            fix = f"Cast it to {cast_to(column.data_type)}, and correct data_type"
            if column.is_feature:
                fix += "; or, if it is no feature, mark it feature: false"
            self._add(
                type_place,
                column.name,
                "type-unsupported",
                f"Feast cannot keep {column.data_type} without loss.",
                f"{fix}.",
            )

    def _check_name(self, place: Place, part: str, name: str) -> None:
        if not name.isidentifier():
            self._add(
                place,
                part,
                "name-unusable",
                f"'{name}' cannot be a name in Feast.",
                "Use letters, digits and underscores, and begin with a letter.",
            )


def _has_reserved_form(name: str) -> bool:
    return name.startswith("__") or name.lower().endswith(_RESERVED_ENDINGS)


def check_marts(marts: list[Mart], log: ProblemLog) -> None:
    """Log what is wrong between marts: names used twice, entities that do not agree."""
    if not marts:
        log.add(
            None,
            "dbt project",
            "nothing-declared",
            "No model has config.meta.feast, and applying nothing would empty the registry.",
            "Add meta.feast to a mart.",
        )
    # Feast compares the names of feature views and of data sources without case.
    for same in _grouped((mart.name.lower(), mart) for mart in marts):
        for mart in same[1:]:
            log.add(
                mart.place,
                mart.name,
                "name-duplicate",
                f"{same[0].unique_id} is already called '{same[0].name}', and case does not count.",
                "Give one of them another alias.",
            )
    _check_entities(marts, log)


def _check_entities(marts: list[Mart], log: ProblemLog) -> None:
    """Log each use of an entity that does not agree with the first one."""
    uses = [
        (column.entity, column, mart)
        for mart in marts
        for column in mart.columns
        if column.entity is not None
    ]
    for same in _grouped((use[0].lower(), use) for use in uses):
        first_entity, first, first_mart = same[0]
        where = f"{first_mart.name}.{first.name}"
        for entity, column, mart in same[1:]:
            if entity != first_entity:
                rule = "name-duplicate"
                message = f"Entity '{entity}' is called '{first_entity}' in {where}."
                fix = "Write both alike."
            elif column.name != first.name:
                rule = "entity-two-join-keys"
                message = f"Entity '{entity}' has the key '{first.name}' in {where}."
                fix = "Give both columns one name, or make them two entities."
            elif column.type != first.type and None not in (column.type, first.type):
                rule = "entity-two-types"
                types = f"{column.data_type} here, and {first.data_type} in {where}"
                message = f"Entity '{entity}' is {types}."
                fix = "Cast one of them."
            else:
                continue
            place = mart.place.at(("columns", column.name), *FEAST, "entity")
            log.add(place, f"{mart.name}.{column.name}", rule, message, fix)


def _grouped(pairs: Iterable[tuple[str, T]]) -> list[list[T]]:
    groups = defaultdict(list)
    for key, item in pairs:
        groups[key].append(item)
    return list(groups.values())
