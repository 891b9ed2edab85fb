"""The pages of the site, each a template over the catalog."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from martfeast.datasets.card.templates import environment
from martfeast.datasets.card.wording import moment
from martfeast.site import drawings, prose, snippets
from martfeast.site.catalog import Catalog, Metric
from martfeast.site.mart import View
from martfeast.site.names import slug

MENU = (
    ("Features", "index.html"),
    ("Entities", "entities/index.html"),
    ("Labels", "labels/index.html"),
    ("Models", "models/index.html"),
    ("Datasets", "datasets/index.html"),
    ("Metrics", "metrics/index.html"),
    ("Owners", "owners/index.html"),
    ("Readiness", "readiness.html"),
    ("Releases", "releases/index.html"),
)
Page = tuple[str, str]


def pages(catalog: Catalog) -> Iterator[Page]:
    """Yield every page: its address from the site's root, and its text.

    The same catalog gives the same bytes. What people wrote is escaped.
    """
    drawn = _Pages(catalog)
    yield drawn.page("index.html", "index.html.jinja", is_index=True, **drawn.index())
    yield drawn.page("features/index.html", "features.html.jinja", here="index.html")
    yield drawn.page("labels/index.html", "labels.html.jinja")
    yield drawn.page(
        "readiness.html",
        "readiness.html.jinja",
        ready_marts=sum(view.standing.is_ready for view in catalog.views),
    )
    for view in catalog.views:
        yield from drawn.of_view(view)
    yield from drawn.of_entities()
    yield from drawn.of_models()
    yield from drawn.of_owners()
    yield from drawn.of_the_rest()


@cache
def _environment() -> jinja2.Environment:
    made = environment("martfeast.site").overlay()
    made.filters = {
        **made.filters,
        "lead": prose.lead,
        "prose": prose.prose,
        "plain": prose.plain,
        "has_more": prose.has_more,
        "marked_lines": prose.marked_lines,
        "slug": slug,
        "first_upper": lambda text: text[:1].upper() + text[1:],
    }
    made.globals.update(
        strip=drawings.strip, marks=drawings.marks, histogram=drawings.histogram, menu=MENU
    )
    return made


class _Pages:
    """Draws pages of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.by_name = {view.name: view for view in catalog.views}
        self.owners = {owner.group: owner for owner in catalog.owners if owner.group}

    def page(self, address: str, template: str, **given: Any) -> Page:
        """Return a page, with what every page is told."""
        root = "../" * address.count("/")
        neighbours = self.catalog.neighbours

        def docs_address(unique_id: str) -> str:
            return _filled(neighbours.dbt_docs, root, unique_id)

        def feast_address(name: str) -> str:
            return _filled(neighbours.feast_ui, root, name)

        told = {
            "catalog": self.catalog,
            "by_name": self.by_name,
            "owners": self.owners,
            "root": root,
            "here": address,
            "docs_address": docs_address,
            "feast_address": feast_address,
            **given,
        }
        return address, _environment().get_template(template).render(told).lstrip()

    def index(self) -> dict[str, Any]:
        """Return what the index shows: views by the entities that they are of."""
        views = self.catalog.feature_views
        by_entity = [
            (entity, [view for view in views if _first_entity(view) == entity.name])
            for entity in self.catalog.entities
        ]
        return {
            "by_entity": [(entity, of_it) for entity, of_it in by_entity if of_it],
            "ready": sum(view.standing.is_ready for view in views),
        }

    def of_view(self, view: View) -> Iterator[Page]:
        """Yield the page of a view, and those of its features."""
        fresh = drawings.freshness(view, self.catalog.as_of)
        here = "index.html" if view.kind == "features" else "labels/index.html"
        yield self.page(
            view.page,
            "view.html.jinja",
            view=view,
            here=here,
            freshness=fresh,
            lineage=drawings.lineage(view, view.uses, "../"),
            snippets=snippets.of_view(view),
            trace=None,
        )
        for feature in view.features if view.kind == "features" else ():
            yield self.page(
                feature.page,
                "feature.html.jinja",
                feature=feature,
                view=view,
                here=here,
                freshness=fresh,
                lineage=drawings.column_lineage(feature, view, "../")
                or drawings.lineage(view, feature.used_by, "../"),
                snippets=snippets.of_feature(feature, view),
                trace=feature.trace,
            )

    def listing(
        self, address: str, title: str, lead: str, rows: list[dict[str, Any]], none: str
    ) -> Page:
        """Return a page that lists what has pages of its own."""
        told = {"title": title, "lead": lead, "rows": rows, "none": none}
        return self.page(address, "listing.html.jinja", **told)

    def of_entities(self) -> Iterator[Page]:
        """Yield the pages of entities."""
        rows = []
        for entity in self.catalog.entities:
            views = [self.by_name[name] for name in entity.views]
            features = [view for view in views if view.kind == "features"]
            count = sum(len(view.features) for view in features)
            rows.append(
                _row(
                    entity.page,
                    entity.name,
                    f"{count} features in {len(features)} views",
                    _keys(entity.keys),
                )
            )
            yield self.page(
                entity.page,
                "entity.html.jinja",
                entity=entity,
                here="entities/index.html",
                features=features,
                labels=[view for view in views if view.kind == "labels"],
                meaning="",
            )
        lead = "What rows are about. Features are looked up by an entity's key."
        yield self.listing("entities/index.html", "Entities", lead, rows, "There are none yet.")

    def of_models(self) -> Iterator[Page]:
        """Yield the pages of models, and of their training sets, whose cards are copied."""
        rows, sets = [], []
        for model in self.catalog.models:
            parts = [name for name, _ in model.features] + [model.label] * bool(model.label)
            count = sum(len(names) for _, names in model.features)
            note = f"{count} features from {len(model.features)} views · {model.owner_name}"
            rows.append(_row(model.page, model.title, prose.lead(model.description), note))
            label = self.by_name.get(model.label)
            column = label.declared.label.column if label and label.declared.label else ""
            meaning = (
                next((o.description for o in label.features if o.name == column), "")
                if label
                else ""
            )
            yield self.page(
                model.page,
                "model.html.jinja",
                model=model,
                here="models/index.html",
                parts=parts,
                held=[
                    n for n in parts if n in self.by_name and not self.by_name[n].standing.is_ready
                ],
                meaning=meaning,
                snippets=snippets.of_model(model),
            )
            for dataset in reversed(model.datasets):
                asked = (
                    f"asked from {moment(dataset.asked_from)} until {moment(dataset.asked_until)}"
                )
                said = f"{dataset.rows:,} rows, {dataset.features} features, {asked}"
                limits = f"{len(dataset.limits)} known limits" if dataset.limits else ""
                sets.append(_row(dataset.page, dataset.saved_dataset, said, limits))
                if dataset.card:
                    yield dataset.page, dataset.card
        lead = "Exposures of type ml: each is a feature service in Feast."
        yield self.listing("models/index.html", "Models", lead, rows, "No exposure of type ml yet.")
        lead = "Training sets, written once and measured. A card is here, its data is not."
        none = "None is written yet: martfeast dataset writes one."
        yield self.listing("datasets/index.html", "Datasets", lead, sets, none)

    def of_owners(self) -> Iterator[Page]:
        """Yield the pages of owners."""
        models = {model.name: model for model in self.catalog.models}
        rows = []
        for owner in self.catalog.owners:
            note = f"{len(owner.views)} marts, {len(owner.models)} models"
            rows.append(_row(owner.page, owner.title, owner.email, note))
            yield self.page(
                owner.page,
                "owner.html.jinja",
                owner=owner,
                here="owners/index.html",
                views=[self.by_name[name] for name in owner.views],
                models=[models[name] for name in owner.models],
            )
        lead = "Groups of dbt, and whoever else owns a model."
        yield self.listing("owners/index.html", "Owners", lead, rows, "Nobody owns anything yet.")

    def of_the_rest(self) -> Iterator[Page]:
        """Yield the pages of metrics and releases, and of what is gone."""
        rows = [
            _row("", one.title, prose.lead(one.description), _made(one), one.name)
            for one in self.catalog.metrics
        ]
        lead = "Numbers of dbt's semantic layer, for reports. They are no features."
        yield self.listing("metrics/index.html", "Metrics", lead, rows, "There are none.")
        rows = []
        for release in reversed(self.catalog.releases):
            counts = {one.change: 0 for one in release.marts}
            for one in release.marts:
                counts[one.change] += 1
            said = ", ".join(f"{count} {change}" for change, count in sorted(counts.items()))
            when = f"{moment(release.judged_at)} UTC, target {release.target}"
            rows.append(_row(release.page, f"Release {release.number}", said, when))
            given = {"release": release, "here": "releases/index.html"}
            yield self.page(release.page, "release.html.jinja", **given)
        lead = "What was published together. Only releases that are still at hand are told."
        yield self.listing("releases/index.html", "Releases", lead, rows, "Nothing is published.")
        for gone in self.catalog.gone:
            yield self.page(gone.page, "gone.html.jinja", gone=gone, here="")


def _row(href: str, name: str, text: str | Markup, note: str, id_: str = "") -> dict[str, Any]:
    return {"href": href, "name": name, "text": text, "note": note, "id": id_}


def _made(metric: Metric) -> str:
    of = f": {metric.made_of}" if metric.made_of else ""
    return f"{metric.name}, {metric.kind}{of}"


def _keys(keys: tuple[str, ...]) -> str:
    return f"key {' or '.join(keys)}"


def _first_entity(view: View) -> str:
    return view.declared.entities[0][0] if view.declared.entities else ""


def _filled(template: str, root: str, name: str) -> str:
    """Return an address of another site; one that is relative is so to this site's root."""
    if not template:
        return ""
    filled = template.replace("{unique_id}", name).replace("{name}", name)
    return filled if "://" in template or template.startswith("/") else f"{root}{filled}"
