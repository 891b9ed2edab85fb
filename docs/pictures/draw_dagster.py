"""Draws the picture of docs/orchestration.md: what a mart is made of and feeds, in Dagster.

``python docs/pictures/draw_dagster.py`` after ``make run-dagster``; it needs Debian's Chromium
(``make browser``).
"""

import os
from pathlib import Path

from nyc_flights.dagster_run import HOME, served
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PAGE = (
    "assets/released/carrier_performance_hourly?view=lineage&lineageScope=neighbors&lineageDepth=3"
)


def main() -> None:
    """Write dagster.png."""
    os.environ["DAGSTER_HOME"] = str(HOME)
    with served() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page(viewport={"width": 2600, "height": 1200})
        page.goto(f"http://127.0.0.1:{port}/{PAGE}")
        page.get_by_text("Nearest Neighbors").wait_for(timeout=120_000)
        page.wait_for_timeout(15_000)  # the graph is laid out, and drawn
        page.screenshot(path=FOLDER / "dagster.png")
        browser.close()


if __name__ == "__main__":
    main()
