"""Reads exposures of type ml from the manifest: the feature services."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from martfeast.declaration.declared import (
    DIFFERENT,
    NO_LABEL_REASON,
    SPLIT,
    Exposure,
    FeatureMart,
    LabelMart,
    Mart,
)
from martfeast.declaration.keys import FEAST, read_keys
from martfeast.declaration.shared import SharedMart
from martfeast.from_dbt import node as dbt
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.node import Source
from martfeast.places import Place
from martfeast.problems import ProblemLog, did_you_mean

_EXPOSURE_KEYS = {
    "features": dict,
    "label": dict,
    "drift": dict,
    "license": str,
    "personal_information": str,
}
_DRIFT_KEYS = {"threshold": object, "features": dict}
_LABEL_KEYS = {"mart": str, "column": str}


def read_exposures(
    artifacts: Artifacts,
    marts: Mapping[str, Mart],
    shared: Sequence[SharedMart],
    refused: Set[str],
    log: ProblemLog,
) -> list[Exposure]:
    """Return every exposure with ``meta.feast``, by name; log what is wrong with each.

    Args:
        artifacts: the dbt project.
        marts: all marts, by name.
        shared: those of other projects.
        refused: the names of other projects' marts that cannot be had, which is a problem already.
        log: where problems go.

    """
    exposures = []
    sources = {one.mart.unique_id: one.source for one in shared}
    for node in sorted(artifacts.graph.exposures.values(), key=lambda node: node.unique_id):
        has_feast, value = dbt.feast_meta(node)
        if has_feast:
            exposures.append(
                _ExposureReader(artifacts, node, marts, sources, refused, log).read(value)
            )
    exposures.sort(key=lambda exposure: exposure.name)
    first_by_name: dict[str, Exposure] = {}
    for exposure in exposures:
        first = first_by_name.setdefault(exposure.name.lower(), exposure)
        if first is not exposure:
            log.add(
                exposure.place,
                exposure.name,
                "name-duplicate",
                f"{first.unique_id} is already called '{first.name}', and case does not count.",
                "Rename one of them.",
            )
    return exposures


class _ExposureReader:
    def __init__(
        self,
        artifacts: Artifacts,
        node: dbt.Exposure,
        marts: Mapping[str, Mart],
        sources: Mapping[str, Source],
        refused: Set[str],
        log: ProblemLog,
    ) -> None:
        self.node = node
        self.marts = marts
        self.sources = sources
        self.refused = refused
        self.log = log
        self.name = node.name
        self.place = artifacts.place(node)
        self.models = {
            unique_id: model
            for unique_id, model in artifacts.graph.models.items()
            if model.resource_type == "model"
        }

    def read(self, value: Any) -> Exposure:
        feast = self.place.at(*FEAST)
        keys = read_keys(value, _EXPOSURE_KEYS, feast, self.name, self.log)
        self._check_itself(value, feast)
        listed = {str(mart): names for mart, names in keys.get("features", {}).items()}
        features = {
            mart: self._read_features(mart, names, feast.at("features", mart))
            for mart, names in listed.items()
        }
        label_mart = self._read_label(keys["label"], feast.at("label")) if "label" in keys else None
        thresholds = self._read_drift(keys["drift"], feast.at("drift")) if "drift" in keys else {}
        node = self.node
        exposure = Exposure(
            name=self.name,
            title=node.label or self.name.replace("_", " ").capitalize(),
            unique_id=node.unique_id,
            description=node.description.strip(),
            owner=str(node.owner or ""),
            maturity=node.maturity or "",
            url=node.url or "",
            features_by_mart={mart: names for mart, names in features.items() if names},
            takes_all_of=frozenset(mart for mart, names in listed.items() if names == "all"),
            label_mart=label_mart,
            drift_threshold=thresholds.pop("", DIFFERENT),
            drift_thresholds=thresholds,
            license=keys.get("license", ""),
            personal_information=keys.get("personal_information", ""),
            place=self.place,
        )
        self._check_names(exposure, feast)
        self._check_keys(exposure, feast)
        for name in thresholds:
            if name not in exposure.features:
                fix = did_you_mean(name, exposure.features, "Take it out.")
                message = f"'{name}' is not a feature of the exposure."
                self._add(feast.at("drift"), "drift.features", "feature-unknown", message, fix)
        return exposure

    def _check_itself(self, value: Any, feast: Place) -> None:
        """Log what is wrong with type, name and the presence of features."""
        if self.node.type != "ml":
            self._add(
                self.place.at("type"),
                "type",
                "exposure-type",
                f"Only an exposure of type ml becomes a feature service, not {self.node.type}.",
                "Set type: ml, or remove meta.feast.",
            )
        if not self.name.isidentifier():
            self._add(
                self.place,
                "",
                "name-unusable",
                f"'{self.name}' cannot be a name in Feast.",
                "Use letters, digits and underscores, and begin with a letter.",
            )
        if isinstance(value, dict) and ("features" not in value or value["features"] == {}):
            self._add(
                feast,
                "features",
                "features-missing",
                "The exposure names no features.",
                "Add features: {<mart>: all} under meta.feast.",
            )

    def _add(self, place: Place, part: str, rule: str, message: str, fix: str) -> None:
        self.log.add(place, f"{self.name}.{part}" if part else self.name, rule, message, fix)

    def _find_mart(self, name: str, part: str, place: Place, kind: type[Mart]) -> Mart | None:
        """Return the mart of this name, of either kind; log why there is none."""
        mart = self.marts.get(name)
        if mart is None and name in self.refused:
            return None
        if mart is None:
            named = {one for one, model in self.models.items() if model.name == name}
            called = [mart.name for mart in self.marts.values() if mart.unique_id in named]
            if called:
                tables = "' and '".join(called)
                message = (
                    f"A mart is called as its table is, and of model '{name}' that is '{tables}'."
                )
                fix = f"Write {' or '.join(called)}."
            elif named:
                message = f"Model '{name}' has no meta.feast."
                fix = "Add it to the model, or take the model out here."
            else:
                names = [mart.name for mart in self.marts.values() if isinstance(mart, kind)]
                message = f"There is no mart '{name}'."
                fix = did_you_mean(name, names, f"Marts are: {', '.join(names) or 'none'}.")
            self._add(place, part, "mart-unknown", message, fix)
            return None
        source = self.sources.get(mart.unique_id)
        if (source or mart).unique_id not in self.node.depends_on.nodes:
            self._add(
                place,
                part,
                "lineage-incomplete",
                f"'{name}' is used here and missing from depends_on, so the lineage would lie.",
                f"Add {self._ref(mart)} to depends_on.",
            )
        return mart

    def _ref(self, mart: Mart) -> str:
        """Return how dbt refers to a mart's model, or to the source that stands for it."""
        if source := self.sources.get(mart.unique_id):
            return f"source('{source.source_name}', '{source.name}')"
        version = f", v={mart.model_version}" if mart.model_version else ""
        return f"ref('{self.models[mart.unique_id].name}'{version})"

    def _read_features(self, name: str, listed: Any, place: Place) -> list[str]:
        part = f"features.{name}"
        mart = self._find_mart(name, part, place, FeatureMart)
        if isinstance(mart, LabelMart):
            self._add(
                place,
                part,
                "label-mart-as-features",
                f"'{name}' is a label mart: it knows what is to be predicted.",
                "Take it out of features, and name it under label.",
            )
        if listed == "all":
            return mart.features if isinstance(mart, FeatureMart) else []
        if not isinstance(listed, list) or not listed:
            fix = "Write a list of feature names, or the word all."
            self._add(place, part, "wrong-value", f"{listed!r} does not fit here.", fix)
            return []
        if not isinstance(mart, FeatureMart):
            return []
        names = []
        for feature in listed:
            if feature in mart.features:
                names.append(str(feature))
                continue
            message = f"'{name}' has no feature '{feature}'."
            if mart.column(feature):
                message = f"Column '{feature}' of '{name}' is not a feature."
            fix = did_you_mean(feature, mart.features, f"It has: {', '.join(mart.features)}.")
            self._add(place, part, "feature-unknown", message, fix)
        return names

    def _read_label(self, value: dict[str, Any], place: Place) -> LabelMart | None:
        keys = read_keys(value, _LABEL_KEYS, place, f"{self.name}.label", self.log)
        if "mart" not in value:
            self._add(
                place,
                "label",
                "label-incomplete",
                "The label has no mart.",
                "Add mart: <label mart>.",
            )
        if "mart" not in keys:
            return None
        mart = self._find_mart(keys["mart"], "label.mart", place.at("mart"), LabelMart)
        if isinstance(mart, FeatureMart):
            self._add(
                place.at("mart"),
                "label.mart",
                "feature-mart-as-label",
                f"'{mart.name}' is a feature mart and has no label.",
                "Name a mart whose meta.feast has a label.",
            )
        if not isinstance(mart, LabelMart):
            return None
        column = keys.get("column", mart.label.column)
        if column != mart.label.column:
            self._add(
                place.at("column"),
                "label.column",
                "label-column-differs",
                f"The label of '{mart.name}' is '{mart.label.column}', not '{column}'.",
                f"Write column: {mart.label.column}, or leave it out.",
            )
        return mart

    def _read_drift(self, value: dict[str, Any], place: Place) -> dict[str, float]:
        """Return thresholds by feature; that of all others by the empty name."""
        keys = read_keys(value, _DRIFT_KEYS, place, f"{self.name}.drift", self.log)
        given = {str(name): number for name, number in keys.get("features", {}).items()}
        if "threshold" in keys:
            given[""] = keys["threshold"]
        read = {}
        for name, number in given.items():
            if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
                message, fix = f"{number!r} is not a threshold.", "Write a number above 0."
                self._add(place, f"drift.{name or 'threshold'}", "wrong-value", message, fix)
            else:
                read[name] = float(number)
        return read

    def _check_names(self, exposure: Exposure, place: Place) -> None:
        # A training set has one column of a name: the spine's keys, times and label, then features.
        label_mart = exposure.label_mart
        taken: dict[str, str] = {}
        if label_mart is not None:
            taken[SPLIT] = "a column of every training set"
            taken[NO_LABEL_REASON] = "a column of training sets that keep rows without a label"
            for name in (label_mart.timestamp, *label_mart.label.columns, *label_mart.natural_key):
                taken[name.lower()] = f"a column of label mart '{label_mart.name}'"
        marts = [self.marts[name] for name in exposure.features_by_mart]
        for mart in (*marts, *([label_mart] if label_mart else [])):
            for name in mart.entity_columns:
                taken[name.lower()] = f"an entity column of '{mart.name}'"
        for mart in marts:
            for name in exposure.features_by_mart[mart.name]:
                other = taken.get(name.lower())
                if other is None:
                    taken[name.lower()] = f"a feature of '{mart.name}'"
                    continue
                self._add(
                    place.at("features", mart.name),
                    f"features.{mart.name}",
                    "feature-duplicate",
                    f"'{name}' is {other} already: a training set has one column of a name.",
                    "Rename one of them, or list the features you want.",
                )

    def _check_keys(self, exposure: Exposure, place: Place) -> None:
        # One spine serves every mart: it has each key once, and a key means one entity.
        label_mart = exposure.label_mart
        marts = [self.marts[name] for name in exposure.features_by_mart]
        entity_by_key: dict[str, tuple[str, str]] = {}
        for mart in (*([label_mart] if label_mart else []), *marts):
            part = "label" if mart is label_mart else f"features.{mart.name}"
            missing = [
                name
                for name in mart.entity_columns
                if label_mart and name not in label_mart.entity_columns
            ]
            if label_mart and missing:
                self._add(
                    place.at("label"),
                    "label",
                    "label-entity-missing",
                    f"Label mart '{label_mart.name}' lacks {', '.join(missing)}, which"
                    f" '{mart.name}' is looked up by.",
                    "Add it to the label mart as an entity column.",
                )
            for column in mart.columns:
                if column.entity is None:
                    continue
                entity, first = entity_by_key.setdefault(column.name, (column.entity, mart.name))
                if entity.lower() != column.entity.lower():
                    self._add(
                        place.at(*part.split(".")),
                        part,
                        "key-of-two-entities",
                        f"'{column.name}' is the key of entity '{column.entity}' in '{mart.name}'"
                        f" and of '{entity}' in '{first}'.",
                        "Name the entity alike, or rename one of the columns.",
                    )
