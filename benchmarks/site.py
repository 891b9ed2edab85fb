"""Measures the site of 2,000 models and 10,000 features: writing it, its index page, its search.

``python benchmarks/site.py`` prints a table. The catalog is made up: 500 feature views of 20
features over 2,000 models, three above each view. It needs Debian's Chromium for the search.
"""

import sys
import tempfile
import time
from pathlib import Path

from martfeast.site.build import write_files
from martfeast.site.catalog import Catalog, Entity, Owner
from martfeast.site.mart import Declared, Feature, Judged, Node, Published, Standing, View
from playwright.sync_api import sync_playwright

VIEWS, FEATURES, ABOVE = 500, 20, 3
NAMED = "count share mean late early open closed paid sent seen read left stock price visit"
WORDS = NAMED.split()
SQL = (
    "select\n"
    + ",\n".join(f"    sum(amount_{n}) as column_{n}" for n in range(60))
    + "\nfrom facts"
)
OPTIONS = ["--no-sandbox", "--disable-gpu"]


def main() -> int:
    """Write the site into a temporary folder, and print what it took; return the exit code."""
    catalog = _catalog()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        begun = time.perf_counter()
        page_count = write_files(catalog, site)
        took = time.perf_counter() - begun
        index = (site / "index.html").stat().st_size
        searched = _search(site)
    print("| measured | value |\n| --- | --- |")
    print(
        f"| features, views, models | {len(catalog.features):,}, {VIEWS}, {VIEWS * (ABOVE + 1):,} |"
    )
    print(f"| pages | {page_count:,} |")
    print(f"| writing | {took:.1f} s |")
    print(f"| index page | {index / 1e6:.2f} MB |")
    print(f"| slowest of the searches | {searched:.0f} ms |")
    return 0


def _search(site: Path) -> float:
    """Return the milliseconds that the slowest search takes, in a browser."""
    asked = ["late share", "is there a feature for stock prices", "s", "mean vists of entity", "zz"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page()
        page.goto((site / "index.html").as_uri())
        took: list[float] = page.evaluate(
            """asked => asked.map(query => {
                const begun = performance.now();
                martfeastFind(query);
                return performance.now() - begun;
            })""",
            asked,
        )
        browser.close()
    return max(took)


def _catalog() -> Catalog:
    views = tuple(_view(number) for number in range(VIEWS))
    entities = tuple(
        Entity(f"entity_{n}", (f"entity_{n}_id",), tuple(v.name for v in views[n::40]))
        for n in range(40)
    )
    owners = tuple(Owner(f"team_{n}", f"Team {n}", "", f"team_{n}") for n in range(20))
    return Catalog(
        project="large",
        release=7,
        as_of="2026-01-01T00:00:00Z",
        views=views,
        entities=entities,
        models=(),
        owners=owners,
        metrics=(),
        releases=(),
        problems=(),
    )


def _view(number: int) -> View:
    name = f"{WORDS[number % 15]}_{WORDS[number // 15 % 15]}_of_entity_{number}"
    above = [f"model.large.step_{number}_{n}" for n in range(ABOVE)]
    nodes = [
        Node(
            one,
            one.split(".")[2],
            "model",
            "A step.",
            "models/step.sql",
            SQL,
            SQL,
            tuple(above[:n]),
        )
        for n, one in enumerate(above)
    ]
    own = Node(f"model.large.{name}", name, "model", "A mart.", "m.sql", SQL, SQL, tuple(above))
    judged = Judged("published", "Is it?", "A version is published.", "pass", (), "")
    features = tuple(
        Feature(
            name,
            f"{WORDS[(number + n) % 15]}_{WORDS[(number * 7 + n * 3) % 15]}_minutes_{n}d",
            "Float64",
            f"Mean {WORDS[n % 15]} of those that were {WORDS[(n + number) % 15]}, over {n} days.",
            "minutes",
            f"last {n} days",
        )
        for n in range(FEATURES)
    )
    moments = ("2026-01-01T00:00:00", "2025-01-01 00:00:00", "2026-01-01 00:00:00")
    return View(
        name=name,
        unique_id=own.unique_id,
        kind="features",
        group=f"team_{number % 20}",
        declared=Declared(
            description=f"What {name} was, day by day.",
            entities=((f"entity_{number % 40}", f"entity_{number % 40}_id"),),
            timestamp="known_at",
            ttl="7 days",
            ttl_minutes=10_080.0,
            is_online=True,
            access="public",
            deprecation_date="",
            project="",
            label=None,
        ),
        standing=Standing(number % 9 > 0, (), (), (judged,) * 16, 1, moments[0]),
        features=features,
        published=Published("v1", f"marts/{name}.parquet", 1000, 1, *moments, "x", 9, 9, ()),
        nodes=(*nodes, own),
    )


if __name__ == "__main__":
    sys.exit(main())
