"""What a dbt project declares for Feast: marts, labels and exposures."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.feature_types import FeatureType
from martfeast.places import Place
from martfeast.published.release import PublishedVersion

if TYPE_CHECKING:
    from martfeast.declaration.shared import SharedMart

# What a training set calls the moment of a row, which is Feast's own name for it; its split into
# train and test; and why a row has no label, where the label mart has no column for that.
ASKED_AT, SPLIT, NO_LABEL_REASON = "event_timestamp", "split", "no_label_reason"

# From which population stability index on a column is worth a look, and from which it is different
# unless an exposure says otherwise. The usual reading of the index; among others N. Siddiqi, Credit
# Risk Scorecards (2006).
LOOK, DIFFERENT = 0.1, 0.25


@dataclass(frozen=True)
class Column:
    """A contract column of a mart.

    data_type: as the contract has it. type: what it is in Feast; None for a column that only
    analysts use and that Feast has no type for. entity: the entity it is the key of.
    is_feature: whether the feature view has it as a feature. is_profiled: whether the site may show
    what its values look like.
    """

    name: str
    data_type: str
    type: FeatureType | None
    description: str
    entity: str | None
    is_feature: bool
    is_profiled: bool = True


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
class Restatement:
    """What a mart says of new versions that change rows of times that an earlier one covered.

    tolerance_share: of the covered rows, how many may be others. expected: why all of them may.
    """

    tolerance_share: float = 0.0
    expected: str = ""


@dataclass(frozen=True)
class Batch:
    """A mart's rows as they are made and published, by ranges of event time in UTC.

    size: hour, day, month or year. lateness: how much later than they were known facts may come
    and still change rows.
    """

    size: str
    lateness: timedelta


@dataclass(frozen=True)
class MartTime:
    """What a mart says of its time.

    start: where its history starts, UTC; None if it does not say. schedule: when it is to be made,
    a cron expression in UTC; empty if it does not say. batch: None for a mart that is made whole.
    """

    start: datetime | None = None
    schedule: str = ""
    batch: Batch | None = None


@dataclass(frozen=True, kw_only=True)
class Mart:
    """A dbt model that is published for Feast: a feature mart or a label mart.

    name: the model's alias; a versioned model's has the version in it. timestamp: the column that
    says when a row was known (feature mart) or when a model would be asked (label mart), UTC.
    created: the column that says when a row was published. model_version, deprecation_date: of a
    versioned model, as dbt has them. waivers: criteria it is excused from, as written.
    restatement: what it says of changes to its own history. time: its start, schedule and batches.
    version: what is published of it. place: where it is declared.
    """

    name: str
    unique_id: str
    description: str
    group: str
    owner: str
    timestamp: str
    created: str
    columns: list[Column]
    model_version: str
    deprecation_date: str
    waivers: list[dict[str, Any]]
    restatement: Restatement
    time: MartTime
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
    def keys(self) -> list[str]:
        """The columns that tell its rows apart, with the moment."""
        return self.entity_columns

    @property
    def known_at(self) -> str:
        """The column that says when what is in a row became known, UTC."""
        return self.timestamp

    def column(self, name: str) -> Column | None:
        """Return the contract's column of this name; None if there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, kw_only=True)
class FeatureMart(Mart):
    """A mart that becomes a feature view. ttl: None is no expiry. online: whether it is served."""

    ttl: timedelta | None
    online: bool

    @property
    def features(self) -> list[str]:
        """The names of the features, in the contract's order."""
        return [column.name for column in self.columns if column.is_feature]


@dataclass(frozen=True, kw_only=True)
class LabelMart(Mart):
    """A mart that says what was asked for, and what came of it.

    natural_key: the columns, entities and moment left out, that tests say its rows are told apart
    by, such as an order's number; none if entities and moment tell them apart.
    """

    label: Label
    natural_key: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The columns that tell its rows apart, with the moment."""
        return [*self.entity_columns, *self.natural_key]

    @property
    def known_at(self) -> str:
        """The column that says when the label of a row became known, UTC."""
        return self.label.known_at


@dataclass(frozen=True)
class Exposure:
    """A dbt exposure of type ml, which is a Feast feature service.

    title: what it is called for people. features_by_mart: feature names by mart, both in the order
    of the exposure. takes_all_of: the marts that it takes every feature of, whichever they are.
    label_mart: the mart of its label, if the exposure names one.
    drift_threshold: the population stability index above which a feature has drifted.
    drift_thresholds: another one for some features.
    license: of its datasets, a URL. personal_information: what in them is personal, in words.
    """

    name: str
    title: str
    unique_id: str
    description: str
    owner: str
    maturity: str
    url: str
    features_by_mart: dict[str, list[str]]
    takes_all_of: frozenset[str]
    label_mart: LabelMart | None
    drift_threshold: float
    drift_thresholds: dict[str, float]
    license: str
    personal_information: str
    place: Place = field(repr=False, compare=False)

    @property
    def features(self) -> list[str]:
        """The names of all features, in the order that Feast returns them."""
        return [name for names in self.features_by_mart.values() for name in names]

    @property
    def marts(self) -> list[str]:
        """The names of the marts that it takes features from, and that of its label."""
        return [*self.features_by_mart, *([self.label_mart.name] if self.label_mart else [])]

    @property
    def references(self) -> list[str]:
        """All features as Feast is asked for them, ``view:feature``."""
        return [f"{mart}:{name}" for mart, names in self.features_by_mart.items() for name in names]


@dataclass(frozen=True)
class Declaration:
    """All that a dbt project declares for Feast, by name.

    shared: which of the marts are another project's, and what its release says of them.
    """

    feature_marts: dict[str, FeatureMart]
    label_marts: dict[str, LabelMart]
    exposures: dict[str, Exposure]
    shared: "dict[str, SharedMart]" = field(default_factory=dict)

    @property
    def own_marts(self) -> dict[str, Mart]:
        """The project's own marts of both kinds."""
        return {name: mart for name, mart in self.marts.items() if name not in self.shared}

    @property
    def marts(self) -> dict[str, Mart]:
        """Both kinds of marts."""
        both: dict[str, Mart] = {**self.feature_marts, **self.label_marts}
        return {name: both[name] for name in sorted(both)}
