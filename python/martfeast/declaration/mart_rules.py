"""Says what is wrong with marts: each by itself, and between them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from martfeast.declaration.declared import ASKED_AT, SPLIT, Column, FeatureMart, LabelMart, Mart
from martfeast.declaration.keys import FEAST
from martfeast.feature_types import (
    BOOL,
    ENTITY_TYPES,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    TIMESTAMP,
    cast_to,
)
from martfeast.places import Place
from martfeast.problems import ProblemLog, did_you_mean
from martfeast.published.release import PUBLISHED_AT

T = TypeVar("T")
_GROUP_TYPES = (*ENTITY_TYPES, BOOL)
_LABEL_TYPES = (BOOL, INT32, INT64, FLOAT32, FLOAT64)

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


def check_mart(mart: Mart, log: ProblemLog) -> None:
    """Log what is wrong with a mart by itself."""
    _MartRules(mart, log).check()


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


class _MartRules:
    def __init__(self, mart: Mart, log: ProblemLog) -> None:
        self.mart = mart
        self.log = log
        self.place = mart.place

    def check(self) -> None:
        mart, feast = self.mart, self.place.at(*FEAST)
        self._check_name(self.place, "", mart.name)
        if not mart.entity_columns:
            self._add(
                self.place,
                "",
                "entity-missing",
                "No column is an entity, so nothing can be looked up.",
                "Give the key column config: {meta: {feast: {entity: <name>}}}.",
            )
        if isinstance(mart, FeatureMart) and not mart.features:
            fix = "Add a column with a feature, or remove meta.feast."
            self._add(self.place, "", "feature-missing", "No column is a feature.", fix)
        if mart.timestamp:
            self._check_time_column("timestamp", mart.timestamp, feast.at("timestamp"))
        if mart.created != PUBLISHED_AT:
            self._check_time_column("created", mart.created, feast.at("created"))
        if isinstance(mart, LabelMart):
            self._check_label(mart, feast.at("label"))
        for column in mart.columns:
            self._check_column(column)

    def _add(self, place: Place, part: str, rule: str, message: str, fix: str) -> None:
        name = self.mart.name
        self.log.add(place, f"{name}.{part}" if part else name, rule, message, fix)

    def _check_label(self, mart: LabelMart, place: Place) -> None:
        label = mart.label
        if label.known_at:
            self._check_time_column("label.known_at", label.known_at, place.at("known_at"))
            if label.known_at == mart.timestamp:
                self._add(
                    place.at("known_at"),
                    "label.known_at",
                    "label-known-too-early",
                    "A label that is known when it is asked for needs no prediction.",
                    "Name the column that says when the outcome was known.",
                )
        for key, name in (("column", label.column), ("missing_reason", label.missing_reason)):
            if name:
                self._check_in_contract(f"label.{key}", name, place.at(key))
        for name in label.groups:
            self._check_group(mart, name, place.at("groups"))
        for name in dict.fromkeys([*label.columns, *mart.keys]):
            if name.lower() in (ASKED_AT, SPLIT):
                self._add(
                    self.place.at(("columns", name)),
                    name,
                    "name-reserved",
                    "Every training set has a column of this name already.",
                    "Rename the column.",
                )

    def _check_group(self, mart: LabelMart, name: str, place: Place) -> None:
        column = self._check_in_contract("label.groups", name, place)
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

    def _check_in_contract(self, part: str, name: str, place: Place) -> Column | None:
        column = self.mart.column(name)
        if column is None:
            names = [column.name for column in self.mart.columns]
            self._add(
                place,
                part,
                "column-not-in-contract",
                f"'{name}' is not a column of the contract.",
                did_you_mean(name, names, "Add it to the columns."),
            )
        return column

    def _check_time_column(self, part: str, name: str, place: Place) -> None:
        column = self._check_in_contract(part, name, place)
        if column is not None and column.data_type and column.type != TIMESTAMP:
            self._add(
                place,
                part,
                "not-a-timestamp",
                f"'{name}' is {column.data_type}, and must be timestamp (UTC, without zone).",
                "Cast it in the model and correct data_type.",
            )

    def _check_column(self, column: Column) -> None:
        place = self.place.at(("columns", column.name))
        if column.name.lower() == PUBLISHED_AT:
            self._add(
                place,
                column.name,
                "name-reserved",
                "The publish step adds a column of this name.",
                "Rename the column.",
            )
        is_served = column.is_feature or column.entity is not None
        if is_served:
            self._check_name(place, column.name, column.name)
        is_reserved = is_served and column.name.lower() in _RESERVED_NAMES
        is_used = is_served or column.name == self.mart.timestamp
        if is_reserved or (is_used and _has_reserved_form(column.name)):
            self._add(
                place,
                column.name,
                "name-reserved",
                "Feast's offline stores use this name, or drop columns named like this.",
                f"Rename the column. Reserved: {', '.join(sorted(_RESERVED_NAMES))},"
                f" a start with __, an end in {' or '.join(_RESERVED_ENDINGS)}.",
            )
        self._check_type(column, place)

    def _check_type(self, column: Column, place: Place) -> None:
        mart, type_place = self.mart, place.at("data_type")
        is_label = isinstance(mart, LabelMart) and column.name == mart.label.column
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
