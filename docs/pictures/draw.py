"""Draws the README's pictures: the newest dataset card, the site, and a mart in the docs site.

``python docs/pictures/draw.py`` after ``make run``; it needs Debian's Chromium (``make browser``).
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FEATURE = "route_performance_daily.route_mean_arrival_delay_minutes_30d"
MART = "#!/model/model.nyc_flights.carrier_performance_hourly"


def main() -> int:
    """Write card.png, docs_site.png, site.png and site_feature.png; return the exit code."""
    cards = sorted((PROJECT / "data/datasets").glob("*/[0-9]*/card.html"))
    site = PROJECT / "target/static_index.html"
    features = PROJECT / "data/site/features"
    if not cards or not site.exists() or not features.exists():
        print("There is no card, no site or no docs site yet. Run `make run`.", file=sys.stderr)
        return 1
    pages = {
        "card": cards[-1].as_uri(),
        "docs_site": site.as_uri() + MART,
        "site": (features.parent / "index.html").as_uri() + "?q=late+arrival+share",
        "site_feature": (features / f"{FEATURE}.html").as_uri(),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        for name, address in pages.items():
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.goto(address)
            page.wait_for_timeout(3000)  # the docs site draws itself from its own data
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
