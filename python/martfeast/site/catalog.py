"""What the site tells, typed: every page, every JSON file and the search are written from this."""

from dataclasses import dataclass, field

from martfeast.site.mart import Feature, View
from martfeast.site.names import slug


@dataclass(frozen=True)
class Owner:
    """A group, or who owns an exposure. name: for the address. title: for people."""

    name: str
    title: str
    email: str
    group: str = ""
    views: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"owners/{self.name}.html"


@dataclass(frozen=True)
class Entity:
    """What rows are about. keys: the columns that are its key. views: all that have it."""

    name: str
    keys: tuple[str, ...]
    views: tuple[str, ...]

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"entities/{slug(self.name)}.html"


@dataclass(frozen=True)
class Dataset:
    """A training set that was written. drifts: from train to test, by column, index and reading.

    card: its card's text; its page is where that is copied.
    """

    model: str
    number: int
    saved_dataset: str
    created_at: str
    rows: int
    features: int
    label: str
    asked_from: str
    asked_until: str
    limits: tuple[str, ...]
    drifts: tuple[tuple[str, float, str], ...]
    card: str = field(repr=False)

    @property
    def page(self) -> str:
        """Its card, from the site's root; empty if it has none."""
        return f"datasets/{self.model}/{self.number:04}/card.html" if self.card else ""


@dataclass(frozen=True)
class Model:
    """An exposure of type ml. features: by view. label: the label mart, or empty."""

    name: str
    title: str
    description: str
    owner: str
    owner_name: str
    maturity: str
    url: str
    features: tuple[tuple[str, tuple[str, ...]], ...]
    label: str
    datasets: tuple[Dataset, ...] = ()

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"models/{self.name}.html"


@dataclass(frozen=True)
class Metric:
    """A metric of dbt's semantic layer. made_of: what it is computed from, in words."""

    name: str
    title: str
    description: str
    kind: str
    made_of: str


@dataclass(frozen=True)
class ReleasedMart:
    """A mart in a release. change: new, changed, same, held back, or gone."""

    mart: str
    version: str
    rows: int
    change: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Released:
    """A release that is at hand, against the one before it that is."""

    number: int
    judged_at: str
    judged_by: str
    target: str
    engine: str
    marts: tuple[ReleasedMart, ...]

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"releases/{self.number}.html"


@dataclass(frozen=True)
class Gone:
    """What had a page once. page: its address. instead: what to use, if somebody can say."""

    page: str
    name: str
    last_release: int
    instead: str


@dataclass(frozen=True)
class Neighbours:
    """Addresses of other sites, with {name} or {unique_id} in them; empty where there is none."""

    dbt_docs: str = ""
    feast_ui: str = ""


@dataclass(frozen=True)
class Catalog:
    """All that a project has to be found. as_of: when the release was judged; empty without one.

    problems: what is wrong with the declaration itself.
    """

    project: str
    release: int
    as_of: str
    views: tuple[View, ...]
    entities: tuple[Entity, ...]
    models: tuple[Model, ...]
    owners: tuple[Owner, ...]
    metrics: tuple[Metric, ...]
    releases: tuple[Released, ...]
    problems: tuple[str, ...]
    neighbours: Neighbours = Neighbours()
    gone: tuple[Gone, ...] = ()

    @property
    def feature_views(self) -> tuple[View, ...]:
        """The views that have features."""
        return tuple(one for one in self.views if one.kind == "features")

    @property
    def label_marts(self) -> tuple[View, ...]:
        """The marts that say what came of what was asked."""
        return tuple(one for one in self.views if one.kind == "labels")

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features of all views."""
        return tuple(feature for view in self.feature_views for feature in view.features)

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """All training sets."""
        return tuple(dataset for model in self.models for dataset in model.datasets)
