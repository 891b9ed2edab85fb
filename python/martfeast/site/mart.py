"""What the site tells of a mart and its columns, typed.

Texts are as their authors wrote them; moments are ISO 8601 in UTC; nothing here is from the clock.
"""

from dataclasses import dataclass
from typing import Literal

from martfeast.site.names import slug

Kind = Literal["features", "labels"]


@dataclass(frozen=True)
class Judged:
    """A criterion of the gate and how a mart stands on it. state: pass, fail, warn or waived."""

    name: str
    question: str
    sentence: str
    state: str
    findings: tuple[str, ...]
    waiver: str


@dataclass(frozen=True)
class Standing:
    """Whether a mart may be used. reasons: why not. warnings: what does not block.

    since_release, since: the first of the releases at hand from which on it was never held back,
    and when that was; 0 and empty while it is held back.
    """

    is_ready: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    criteria: tuple[Judged, ...]
    since_release: int
    since: str

    @property
    def passed(self) -> int:
        """How many criteria it passes."""
        return sum(one.state == "pass" for one in self.criteria)

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return "ready" if self.is_ready else "held back"


@dataclass(frozen=True)
class Published:
    """The version that readers get. file: relative to the project where it is in it.

    byte_count: None where it is not known. tests, tests_passed: that vouch for it. sources: the
    newest load of each source under it, by its name; None where the source is empty.
    """

    version: str
    file: str
    rows: int
    byte_count: int | None
    published_at: str
    first_known_at: str
    last_known_at: str
    content_hash: str
    tests: int
    tests_passed: int
    sources: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Proof:
    """The last replay of a mart. moments, asked: those that showed something, and those wanted.

    compared, withheld: rows compared, and later facts that were withheld meanwhile. failure: how it
    knew the future, or why nothing was shown. trusted: what says by itself when it was known, and
    why that is believed, if somebody wrote it down. engine: where it was shown, if elsewhere.
    """

    replayed_at: str
    moments: int
    asked: int
    compared: int
    withheld: int
    failure: str
    warnings: tuple[str, ...]
    trusted: tuple[tuple[str, str], ...]
    engine: str


@dataclass(frozen=True)
class Run:
    """What one dbt run found of a mart. passed, failed, warned: tests. failures: their names."""

    started_at: str
    passed: int
    failed: int
    warned: int
    failures: tuple[str, ...]

    @property
    def word(self) -> str:
        """What it came to, in a word."""
        return "failed" if self.failed else "warned" if self.warned else "passed"


@dataclass(frozen=True)
class Node:
    """A relation on the way to a mart. kind: source, model, seed or snapshot. file: in the project.

    sql: as it is written. compiled: as dbt compiled it last; empty if that is not at hand.
    """

    unique_id: str
    name: str
    kind: str
    description: str
    file: str
    sql: str
    compiled: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """Who reads a mart. kind: model (machine learning), dashboard and so on, or dbt model.

    features: those that it takes; none if that is not said. page: of the site, if it has one.
    """

    name: str
    title: str
    kind: str
    owner: str
    features: tuple[str, ...] = ()
    page: str = ""


@dataclass(frozen=True)
class Bar:
    """How many values lie from one value to another, as a share of those that are there."""

    low: str
    high: str
    share: float


@dataclass(frozen=True)
class Profile:
    """What a column's values look like in the published version.

    null_share: 0 to 1. distinct: values, about. bars: a histogram of numbers and moments. top: the
    most common values of the rest, with their shares; only those that enough rows have.
    """

    null_share: float
    distinct: int
    minimum: str
    mean: str
    maximum: str
    bars: tuple[Bar, ...] = ()
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Drift:
    """How a feature moved from train to test in a dataset. page: the dataset's card."""

    dataset: str
    page: str
    psi: float
    reading: str


@dataclass(frozen=True)
class ColumnOf:
    """A column of a relation, by the names of both."""

    relation: str
    column: str
    is_source: bool

    def __str__(self) -> str:
        return f"{self.relation}.{self.column}"


@dataclass(frozen=True)
class Link:
    """A column that another is computed of; or, if how is filter, join and so on, shaped by."""

    start: ColumnOf
    end: ColumnOf
    how: str


@dataclass(frozen=True)
class Trace:
    """Where a feature comes from. links: of up to two steps back. sources: at the very start.

    counted: relations whose rows are counted on the way. steps: the expressions that compute it in
    its mart, by the name of the part of the SQL. untraced: models on the way that could not be
    read, and why.
    """

    links: tuple[Link, ...]
    sources: tuple[ColumnOf, ...]
    counted: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    untraced: tuple[tuple[str, str], ...]

    @property
    def values(self) -> tuple[ColumnOf, ...]:
        """The columns that it is computed of, one step back."""
        if not self.links:
            return ()
        own = self.links[0].end
        return tuple(one.start for one in self.links if one.end == own and not one.how)

    @property
    def shaped(self) -> dict[ColumnOf, str]:
        """The columns that decide which rows it is computed of, and by what, in words."""
        found: dict[ColumnOf, dict[str, None]] = {}
        for link in self.links:
            if link.how:
                found.setdefault(link.start, {})[link.how] = None
        return {start: ", ".join(sorted(hows)) for start, hows in found.items()}


@dataclass(frozen=True)
class Feature:
    """A column of a mart that readers ask for. unit, window: as its name says, in words.

    trace: None where columns are not traced.
    is_profiled: whether it may be said what its values look like. profile: None where it is not.
    """

    view: str
    name: str
    type: str
    description: str
    unit: str
    window: str
    used_by: tuple[Use, ...] = ()
    drifts: tuple[Drift, ...] = ()
    is_profiled: bool = True
    trace: Trace | None = None
    profile: Profile | None = None

    @property
    def reference(self) -> str:
        """What Feast is asked for."""
        return f"{self.view}:{self.name}"

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"features/{slug(self.view)}.{slug(self.name)}.html"


@dataclass(frozen=True)
class Label:
    """The label of a label mart: its column, when it is known, why it may be missing, groups."""

    column: str
    known_at: str
    missing_reason: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """What a mart's YAML says. entities: with the column that is the key. ttl: in words, or empty.

    ttl_minutes: None for no expiry. project: whose it is, if it is another project's.
    """

    description: str
    entities: tuple[tuple[str, str], ...]
    timestamp: str
    ttl: str
    ttl_minutes: float | None
    is_online: bool
    access: str
    deprecation_date: str
    project: str
    label: Label | None


@dataclass(frozen=True)
class View:
    """A mart: a feature view, or the rows and labels that models learn from.

    group: that owns it. nodes: of its lineage, parents first, itself last. uses: who reads it.
    runs: the last ones, oldest first; None where the evidence cannot be read.
    """

    name: str
    unique_id: str
    kind: Kind
    group: str
    declared: Declared
    standing: Standing
    features: tuple[Feature, ...]
    published: Published | None = None
    proof: Proof | None = None
    runs: tuple[Run, ...] | None = None
    nodes: tuple[Node, ...] = ()
    uses: tuple[Use, ...] = ()

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"{self.kind}/{slug(self.name)}.html"

    @property
    def node(self) -> Node | None:
        """Its own model; None of another project's mart."""
        return self.nodes[-1] if self.nodes else None
