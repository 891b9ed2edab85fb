"""What a dbt project declares for Feast: marts, labels and exposures."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from martfeast.feature_types import FeatureType
from martfeast.places import Place
from martfeast.published.release import PublishedVersion

# What a training set calls the moment of a row, which is Feast's own name for it; its split into
# train and test; and why a row has no label, where the label mart has no column for that.
ASKED_AT, SPLIT, NO_LABEL_REASON = "event_timestamp", "split", "no_label_reason"


@dataclass(frozen=True)
class Column:
    """A contract column of a mart.

    data_type: as the contract has it. type: what it is in Feast; None for a column that only
    analysts use and that Feast has no type for. entity: the entity it is the key of.
    is_feature: whether the feature view has it as a feature.
    """

    name: str
    data_type: str
    type: FeatureType | None
    description: str
    entity: str | None
    is_feature: bool


@dataclass(frozen=True)
class Label:
    """What a label mart knows about its label, as column names.

    known_at: when the label became known. missing_reason: why a row has none.
    groups: by which rows are divided when label, training sets and models are audited.
    """

    column: str
    known_at: str
    missing_reason: str | None
    groups: list[str] = field(default_factory=list)

    @property
    def reason_column(self) -> str:
        """What a training set calls the reason why a row has no label."""
        return self.missing_reason or NO_LABEL_REASON

    @property
    def columns(self) -> list[str]:
        """All these columns, as far as they are named; a training set has them."""
        names = [self.column, self.known_at, self.missing_reason, *self.groups]
        return [name for name in names if name]


@dataclass(frozen=True)
class Mart:
    """A dbt model that is published for Feast, as a feature view or as a label mart.

    name: the model's alias; a versioned model's has the version in it. timestamp: the column that
    says when a row was known (feature mart) or when a model would be asked (label mart), UTC.
    created: the column that says when a row was published. ttl: None is no expiry.
    label: None for a feature mart. model_version, deprecation_date: of a versioned model, as dbt
    has them. waivers: criteria it is excused from, as written. version: what is published of it.
    place: where it is declared.
    """

    name: str
    unique_id: str
    description: str
    group: str
    owner: str
    timestamp: str
    created: str
    ttl: timedelta | None
    online: bool
    columns: list[Column]
    label: Label | None
    model_version: str
    deprecation_date: str
    waivers: list[dict[str, Any]]
    version: PublishedVersion | None
    place: Place = field(repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The Parquet file of its published version, absolute."""
        assert self.version is not None, f"{self.name} has no published version"
        return self.version.path

    @property
    def entity_columns(self) -> list[str]:
        """The names of the entity columns, which are the join keys, in the contract's order."""
        return [column.name for column in self.columns if column.entity is not None]

    @property
    def features(self) -> list[str]:
        """The names of the features, in the contract's order; none for a label mart."""
        return [column.name for column in self.columns if column.is_feature]


@dataclass(frozen=True)
class Exposure:
    """A dbt exposure of type ml, which is a Feast feature service.

    features_by_mart: feature names by mart, both in the order of the exposure.
    takes_all_of: the marts that it takes every feature of, whichever they are.
    label: the label mart, if the exposure names one; its ``label.column`` is the label.
    drift_threshold: the population stability index above which a feature has drifted.
    drift_thresholds: another one for some features.
    license: of its datasets, a URL. personal_information: what in them is personal, in words.
    """

    name: str
    unique_id: str
    description: str
    owner: str
    maturity: str
    url: str
    features_by_mart: dict[str, list[str]]
    takes_all_of: frozenset[str]
    label: Mart | None
    drift_threshold: float
    drift_thresholds: dict[str, float]
    license: str
    personal_information: str
    place: Place = field(repr=False, compare=False)

    @property
    def features(self) -> list[str]:
        """The names of all features, in the order that Feast returns them."""
        return [name for names in self.features_by_mart.values() for name in names]


@dataclass(frozen=True)
class Declaration:
    """All that a dbt project declares for Feast. marts and exposures are by name."""

    marts: dict[str, Mart]
    exposures: dict[str, Exposure]

    @property
    def feature_marts(self) -> dict[str, Mart]:
        """The marts that become feature views."""
        return {name: mart for name, mart in self.marts.items() if mart.label is None}

    @property
    def label_marts(self) -> dict[str, Mart]:
        """The marts that carry labels."""
        return {name: mart for name, mart in self.marts.items() if mart.label is not None}
