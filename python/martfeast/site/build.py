"""Writes the site into a folder, which takes the place of the one before as a whole."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from martfeast.causes import Cause
from martfeast.extras import extra
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.gate.assess import Assessment
from martfeast.lineage.columns import trace_columns
from martfeast.problems import refusal
from martfeast.site.catalog import Catalog, Gone, Neighbours
from martfeast.site.collect import collect
from martfeast.site.machine import machine_files
from martfeast.site.origins import compiled_graph
from martfeast.site.profile import PROFILES, profiles_file, read_profiles, with_profiles
from martfeast.site.runs import read_runs
from martfeast.site.search import index_script, make_index

with extra("datasets"):
    from martfeast.site.pages import pages

# Which addresses there were: by it a folder is known as a site, and what is gone keeps its page.
LEDGER = "data/addresses.json"
STATIC = ("site.js", "search.js")


@dataclass(frozen=True)
class Written:
    """What was written. path: of the index. page_count: of HTML pages. gone_count: of them."""

    path: Path
    page_count: int
    gone_count: int


def site_folder(artifacts: Artifacts) -> Path:
    """Return where a project's site is unless told otherwise: beside what is published."""
    return artifacts.published_path.resolve().parent / "site"


def build_site(assessment: Assessment, output: Path | None, say: Callable[[str], None]) -> Written:
    """Write the site of a project.

    Args:
        assessment: how the project stands before the gate.
        output: the folder; None for `site` beside what is published.
        say: is told what is being done.

    Returns:
        What was written. The same artifacts and evidence give the same bytes.

    Raises:
        DeclarationError: the folder has something else in it, or a dataset's record is damaged.

    """
    artifacts = assessment.project.artifacts
    folder = (output or site_folder(artifacts)).resolve()
    before = read_ledger(folder)
    say(f"reading project {artifacts.graph.project_name}")
    graph = compiled_graph(artifacts)
    catalog = collect(
        assessment,
        runs=read_runs(assessment, say),
        neighbours=_neighbours(artifacts, folder),
        traced=(graph, trace_columns(graph)),
    )
    catalog = replace(catalog, gone=find_gone(catalog, before))
    catalog = with_profiles(catalog, artifacts.project_dir, read_profiles(folder), say)
    new = folder.with_name(f".building-{uuid.uuid4().hex}")
    try:
        page_count = write_files(catalog, new)
        _put(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Written(folder / "index.html", page_count, len(catalog.gone))


def read_ledger(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the addresses of the site in a folder: what had each, and in which release last.

    Raises:
        DeclarationError: there is something in the folder, and it is no site.

    """
    try:
        listed = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
        return {page: (str(name), int(release)) for page, (name, release) in listed.items()}
    except FileNotFoundError:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return {}
        why = "is no site that martfeast wrote, and what is in it would be lost"
    except (OSError, ValueError, TypeError, AttributeError):
        why = f"has a {LEDGER} that cannot be read"
    fix = "Name another folder with --output, or remove it."
    raise refusal("site", "not-a-site", f"{folder} {why}.", fix, cause=Cause.USAGE)


def find_gone(catalog: Catalog, before: dict[str, tuple[str, int]]) -> tuple[Gone, ...]:
    """Return what had a page once and has none now, with what has its name elsewhere."""
    now = _addresses(catalog)
    elsewhere = {feature.name: feature.page for feature in catalog.features}
    elsewhere |= {view.name: view.page for view in catalog.views}
    return tuple(
        Gone(page, name, release, elsewhere.get(name.split(":")[-1], ""))
        for page, (name, release) in sorted(before.items())
        if page not in now
    )


def _addresses(catalog: Catalog) -> dict[str, str]:
    """Return what has a page that is to last, by its address."""
    found = {view.page: view.name for view in catalog.views}
    found |= {feature.page: feature.reference for feature in catalog.features}
    found |= {model.page: model.name for model in catalog.models}
    found |= {entity.page: entity.name for entity in catalog.entities}
    return found


def _neighbours(artifacts: Artifacts, folder: Path) -> Neighbours:
    """Return the addresses that the variable ``site`` gives; dbt's docs may be in the target."""
    given = artifacts.settings.get("site")
    given = given if isinstance(given, dict) else {}
    docs = str(given.get("dbt_docs") or "")
    if not docs and (artifacts.target_path / "static_index.html").exists():
        way = os.path.relpath(artifacts.target_path / "static_index.html", folder)
        docs = f"{Path(way).as_posix()}#!/model/{{unique_id}}"
    return Neighbours(dbt_docs=docs, feast_ui=str(given.get("feast_ui") or ""))


def _files(catalog: Catalog) -> Iterator[tuple[str, str]]:
    yield from pages(catalog)
    yield from machine_files(catalog)
    yield PROFILES, profiles_file(catalog)
    yield "search-index.js", index_script(make_index(catalog))
    package = resources.files("martfeast")
    look = (package / "datasets/card/page.css").read_text(encoding="utf-8")
    yield "style.css", look + (package / "site/site.css").read_text(encoding="utf-8")
    for name in STATIC:
        yield name, (package / "site/static" / name).read_text(encoding="utf-8")
    ledger = {page: (name, catalog.release) for page, name in _addresses(catalog).items()}
    ledger |= {one.page: (one.name, one.last_release) for one in catalog.gone}
    yield LEDGER, json.dumps(ledger, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_files(catalog: Catalog, folder: Path) -> int:
    """Write all files of a catalog into a new folder; return how many of them are pages."""
    page_count, made = 0, set[Path]()
    for address, text in _files(catalog):
        path = folder / address
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_text(text, encoding="utf-8", newline="\n")
        page_count += address.endswith(".html")
    return page_count


def _put(new: Path, folder: Path) -> None:
    """Let a new folder take the place of the old one."""
    old = folder.with_name(f".building-{uuid.uuid4().hex}")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
