"""The catalog for machines: JSON files, and llms.txt."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from martfeast.site.catalog import Catalog
from martfeast.site.mart import View
from martfeast.site.prose import plain

Json = dict[str, Any]


def machine_files(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the files for machines: the address of each from the site's root, and its text."""
    whose = {owner.group: owner.title for owner in catalog.owners if owner.group}
    views = {view.name: view for view in catalog.views}
    listed: dict[str, list[Json]] = {
        "views": [_view(view, whose) for view in catalog.views],
        "features": [
            {
                "reference": one.reference,
                "page": one.page,
                "state": views[one.view].standing.word,
                "entities": [entity for entity, _ in views[one.view].declared.entities],
                "owner": whose.get(views[one.view].group, ""),
                **asdict(one),
            }
            for one in catalog.features
        ],
        "entities": [{"page": one.page, **asdict(one)} for one in catalog.entities],
        "models": [_without_cards({"page": one.page, **asdict(one)}) for one in catalog.models],
        "owners": [{"page": one.page, **asdict(one)} for one in catalog.owners],
        "metrics": [asdict(one) for one in catalog.metrics],
        "releases": [{"page": one.page, **asdict(one)} for one in catalog.releases],
        "gone": [asdict(one) for one in catalog.gone],
    }
    for name, of_it in listed.items():
        content = {"project": catalog.project, "release": catalog.release, name: of_it}
        yield f"data/{name}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    yield "llms.txt", _llms(catalog)


def _view(view: View, whose: dict[str, str]) -> Json:
    """Return a view without the SQL of its lineage, which is on its page."""
    told = asdict(view)
    told["nodes"] = [node.unique_id for node in view.nodes]
    told["features"] = [feature.name for feature in view.features]
    head = {"page": view.page, "state": view.standing.word, "owner": whose.get(view.group, "")}
    return {**head, **told}


def _without_cards(model: Json) -> Json:
    for dataset in model["datasets"]:
        del dataset["card"]
    return model


def _llms(catalog: Catalog) -> str:
    """Return what there is in a page of Markdown: names, one line each, and where the rest is."""
    lines = [
        f"# {catalog.project}",
        "",
        f"> Features, labels and models of this project, as of release {catalog.release}"
        f" ({catalog.as_of or 'nothing published'}). A view is ready or held back; use what is"
        " ready. Ask Feast for a feature as view:feature.",
        "",
        "## Feature views",
        "",
    ]
    for view in catalog.feature_views:
        of = ", ".join(entity for entity, _ in view.declared.entities)
        said = plain(view.declared.description)
        names = ", ".join(feature.name for feature in view.features)
        lines.append(f"- [{view.name}]({view.page}): {view.standing.word}; per {of}. {said}")
        lines.append(f"  Features: {names}")
    sections = {
        "Labels": [(one.name, one.page, one.declared.description) for one in catalog.label_marts],
        "Models": [(one.name, one.page, one.description) for one in catalog.models],
    }
    for title, rows in sections.items():
        lines += ["", f"## {title}", ""]
        lines += [f"- [{name}]({page}): {plain(said)}" for name, page, said in rows]
    lines += ["", "## As JSON", ""]
    for name in ("features", "views", "entities", "models", "owners", "metrics", "releases"):
        lines.append(f"- [{name}](data/{name}.json)")
    return "\n".join(lines) + "\n"
