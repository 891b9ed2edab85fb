"""The record of a dataset: all that is known of it, typed, as ``dataset.json`` has it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from martfeast.records import Count, FileStem, Moment, Record, Share

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Index = Annotated[float, Field(ge=0)]
Reading = Literal["alike", "look", "different"]


class Part(BaseModel):
    """A part of the record."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


class About(Part):
    """What the exposure says of a dataset, for people. license: a URL, or empty."""

    title: str
    description: str
    owner: str
    maturity: str
    url: str
    license: str
    personal_information: str


class MartState(Part):
    """A published version of a mart that a dataset is made of."""

    mart: str
    model: str
    version: str
    content_hash: str
    code_checksum: str
    rows: Count
    is_label_mart: bool


class ReplayFacts(Part):
    """The last replay of a mart: when (UTC), and at how many past moments that showed something."""

    mart: str
    replayed_at: Moment
    cuts: Count
    compared: Count


class RegistryState(Part):
    """What Feast's registry held of the feature service."""

    project: str
    feature_service: str
    checksum: str


class Inputs(Part):
    """All that the rows of a dataset follow from: the same inputs give the same bytes.

    Moments are ISO 8601, UTC. label: the label mart and its column, joined by a dot.
    unlabelled: keep or leave-out. features: by mart. software: versions by name.
    """

    exposure: str
    label: str
    from_: Moment = Field(alias="from")
    until: Moment
    as_of: Moment
    test_from: Moment | None
    unlabelled: Literal["keep", "leave-out"]
    groups: list[str]
    features: dict[str, list[str]]
    marts: list[MartState]
    registry: RegistryState
    offline_store: str
    software: dict[str, str]
    about: About


class LabelFacts(Part):
    """The label: its columns in the file. missing_reason: None where no such column is kept."""

    mart: str
    column: str
    description: str
    type: str
    known_at: str
    asked_at: str
    missing_reason: str | None


class DataFile(Part):
    """The Parquet file, beside the record."""

    name: FileStem
    sha256: Sha256
    bytes: Count
    rows: Count


class Step(Part):
    """A step from the label mart to the file: rows after it, and those left out, by reason."""

    step: str
    rows: Count
    left_out: dict[str, Count]


class ColumnPath(Part):
    """Sources and models that a column comes through, each after what it is built on."""

    sources: list[str]
    models: list[str]


class ColumnFacts(Part):
    """A column of the file: what it is, where it comes from, and what was measured.

    role: such as feature, label, entity or key. missing_share: 0 to 1. minimum, mean, maximum: of
    what is there, finite numbers only; texts and times as text. distinct: values, about.
    """

    name: str
    role: str
    type: str
    description: str
    mart: str | None
    entity: str | None
    path: ColumnPath
    missing_share: Share
    minimum: float | str | None
    mean: float | None
    maximum: float | str | None
    distinct: Count


class Period(Part):
    """A month or a day of the moment asked."""

    period: str
    rows: Count
    labelled: Count
    base_rate: float | None


class MissingReason(Part):
    """A reason why rows have no label, with the number of rows."""

    reason: str
    rows: Count


class Maturity(Part):
    """From the moment asked to the moment the label was known, in minutes."""

    median: float
    p95: float


class LabelAudit(Part):
    """How well the label covers the rows asked for. base_rate: the mean of the label.

    is_share: whether all labels are 0 or 1, so that the mean is a share.
    """

    rows: Count
    labelled: Count
    base_rate: float | None
    is_share: bool
    periods: list[Period]
    reasons: list[MissingReason]
    maturity_minutes: Maturity | None


class Level(Part):
    """A level of a group column, in the dataset and in the rows asked for.

    Shares are 0 to 1, with the ends of their 95% intervals. is_small: too few rows to judge.
    """

    level: str
    population_rows: Count
    rows: Count
    population_share: Share
    share: Share
    share_low: Share
    share_high: Share
    standardized_difference: float
    labelled_share: Share
    base_rate: float | None
    base_rate_low: float | None
    base_rate_high: float | None
    is_small: bool

    @property
    def has_half_an_interval(self) -> bool:
        """Whether of a rate and its interval some are there and others not, as never happens."""
        low, high = self.base_rate_low is None, self.base_rate_high is None
        return low != high or (not low and self.base_rate is None)


class GroupFacts(Part):
    """A group column: how the dataset's rows are spread over its levels, against those asked for.

    psi: the population stability index, with the ends of its 95% interval. reading: it in a word.
    """

    group: str
    description: str
    psi: Index
    psi_low: Index
    psi_high: Index
    reading: Reading
    levels: list[Level]


class FeatureDrift(Part):
    """How a feature is distributed in two parts. missing_shares: of each, 0 to 1."""

    column: str
    psi: Index
    standardized_difference: float | None
    missing_shares: tuple[Share, Share]
    reading: Reading


class SplitDrift(Part):
    """How features drift from the train rows to the test rows. rows: of each part."""

    between: tuple[str, str]
    rows: tuple[Count, Count]
    threshold: Index
    features: list[FeatureDrift]


class DatasetRecord(Record):
    """A dataset: what it is made of, what it holds, and what was measured.

    number: its version, never used twice. created_at: UTC. replays: of its marts, as far as there
    are any. limits: what to know before using it.
    changes: since the version before, as sentences.
    """

    FORMAT: ClassVar[int] = 2

    number: Annotated[int, Field(ge=1, lt=2**63)]
    saved_dataset: str
    created_at: Moment
    label: LabelFacts
    inputs: Inputs
    file: DataFile
    steps: list[Step]
    columns: list[ColumnFacts]
    label_audit: LabelAudit
    groups: list[GroupFacts]
    drift: SplitDrift | None
    replays: list[ReplayFacts]
    limits: list[str]
    changes: list[str]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse what cannot be of one dataset, and what a card could not be drawn of."""
        audit, columns = self.label_audit, {column.name: column for column in self.columns}
        asked = columns.get(self.label.asked_at)
        rates = [audit.base_rate, *(period.base_rate for period in audit.periods)]
        levels = [level for group in self.groups for level in group.levels]
        rates += [level.base_rate for level in levels]
        for is_wrong, why in (
            (len(columns) < len(self.columns), "two columns have one name"),
            (asked is None, f"there is no column {self.label.asked_at}"),
            (not all(group.levels for group in self.groups), "a group has no levels"),
            (not self.steps, "it has no steps"),
            (audit.labelled > audit.rows, "more labels than rows"),
            (any(one.labelled > one.rows for one in audit.periods), "more labels than rows"),
            (any(one.has_half_an_interval for one in levels), "half an interval of a base rate"),
            (
                audit.is_share and any(rate is not None and not 0 <= rate <= 1 for rate in rates),
                "a base rate is no share",
            ),
        ):
            if is_wrong:
                raise ValueError(why)
        if asked and self.file.rows:
            for end in (asked.minimum, asked.maximum):
                TypeAdapter(Moment).validate_python(end)
        return self

    @property
    def name(self) -> str:
        """The exposure that it is the dataset of."""
        return self.inputs.exposure

    @property
    def about(self) -> About:
        """What the exposure says of it, for people."""
        return self.inputs.about
