"""The site in a real browser: phone and desk, light and dark, keys alone, no script, axe-core."""

from pathlib import Path

import pytest
from conftest import Library
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
AXE = Path(__file__).with_name("axe_core") / "axe.min.js"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
PAGES = [
    "index.html",
    "index.html?q=overdue",
    "features/index.html",
    "features/member_activity_daily.html",
    "features/member_activity_daily.overdue_share_30d.html",
    "features/member_activity_daily.favourite_genres.html",
    "labels/loan_labels.html",
    "entities/member.html",
    "entities/index.html",
    "models/overdue_prediction.html",
    "owners/lending.html",
    "readiness.html",
    "releases/1.html",
    "metrics/index.html",
    "datasets/index.html",
]
VIOLATIONS = """axe.run(document, {preload: false, resultTypes: ['violations']}).then(found =>
    found.violations.map(one => [one.id, one.nodes[0].html.slice(0, 200)]))"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(built_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sites") / "site"
    done = built_library.martfeast("site", "--output", str(output), cwd=built_library.path)
    assert done.returncode == 0, done.stderr
    return output


def address(site: Path, name: str) -> str:
    path, _, query = name.partition("?")
    return (site / path).as_uri() + (f"?{query}" if query else "")


def violations(page: Page) -> list[list[str]]:
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.evaluate(AXE.read_text())
    return page.evaluate(VIOLATIONS)


def overflowing(page: Page) -> list[str]:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return page.evaluate(
        """[...document.querySelectorAll('body *')].filter(element =>
            !element.closest('pre, .scroll, .unseen, thead, svg, nav')
            && element.getBoundingClientRect().right > innerWidth + 1
        ).map(element => element.outerHTML.slice(0, 200))"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_page_is_whole_and_readable(browser: Browser, site: Path, size, scheme):
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        page.goto(address(site, name))
        assert page.locator("h1").count() == 1, name
        assert violations(page) == [], name
        assert overflowing(page) == [], name
    assert troubles == []
    assert all(one.startswith(site.as_uri()) or one.startswith("data:") for one in asked)
    context.close()


def test_axe_finds_what_is_wrong(browser: Browser, site: Path):
    page = browser.new_page()
    page.goto(address(site, "features/member_activity_daily.html"))
    page.evaluate("document.querySelector('.word').style.color = '#ddd'")
    page.evaluate("document.querySelector('main').setAttribute('role', 'presentation')")
    assert {"color-contrast"} <= {name for name, _ in violations(page)}
    page.close()


def test_without_script_everything_is_there_and_leads_on(browser: Browser, site: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(site, "index.html"))
    assert page.get_by_text("Search needs script").is_visible()
    page.get_by_role("link", name="member_activity_daily").first.click()
    page.get_by_role("link", name="overdue_share_30d").first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "overdue_share_30d"
    assert page.get_by_text("Ready to use").is_visible()
    for question in ("Did it know the future?", "Is it fresh?", "Where does it come from?"):
        assert page.get_by_role("region", name=question).is_visible()
    context.close()


def test_the_keyboard_alone_gets_everywhere(browser: Browser, site: Path):
    page = browser.new_page()
    page.goto(address(site, "features/member_activity_daily.overdue_share_30d.html"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "member_activity_daily"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML"))
    focusable = page.evaluate(
        "document.querySelectorAll('main a[href], main button, main summary').length"
    )
    assert sum(one.startswith(("<a", "<button", "<summary")) for one in reached) >= focusable - 5
    page.goto(address(site, "index.html"))
    page.keyboard.press("/")
    page.keyboard.type("copies")
    assert page.locator("#hits a").first.inner_text() == "copies_free"
    page.close()


def test_bars_are_as_high_as_the_shares_of_values(browser: Browser, site: Path, built_library):
    page = browser.new_page()
    page.goto(address(site, "features/member_activity_daily.loan_count_30d.html"))
    shown = dict(
        page.locator(".bars-drawn rect").evaluate_all(
            """bars => bars.map(bar => [bar.textContent.split(' to ')[0],
                                        +bar.getAttribute('height')])"""
        )
    )
    file = built_library.published / built_library.published_mart("member_activity_daily")["path"]
    counted = built_library.query(
        f"select loan_count_30d, count(*) from '{file}' where loan_count_30d is not null group by 1"
    )
    assert counted
    most = max(rows for _, rows in counted)
    drawn = {value: height for value, height in shown.items() if height}
    assert drawn == pytest.approx({str(value): 100 * rows / most for value, rows in counted}, abs=1)
    page.close()
