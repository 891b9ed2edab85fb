"""Search: the same hits in the terminal and in a real browser, over the library and the flights."""

import json
from pathlib import Path

import pytest
from conftest import Library
from martfeast.declaration.project import read_project
from martfeast.gate.assess import assess
from martfeast.site.collect import collect
from martfeast.site.search import Index, is_one_off, make_index, words_in
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# What people ask of the library, and what they mean.
QUESTIONS = {
    "is there a feature for overdue loans?": "overdue_share_30d",
    "copies free": "copies_free",
    "how many copies are on the shelf": "copies_free",
    "share of late loans of a member": "overdue_share_30d",
    "loan count": "loan_count_30d",
    "favorite genre": "favourite_genres",
    "student": "is_student",
    "LAST VISIT": "last_visit_at",
    "waiting for a title, in days": "waiting_days",
    "label whether it came back late": "loan_labels",
    "overdue prediction": "Overdue prediction",
    "branch": "branch",
    "reader services": "Reader services",
}


@pytest.fixture(scope="module")
def index(built_library: Library) -> Index:
    return make_index(collect(assess(read_project(built_library.path))))


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize(("asked", "meant"), QUESTIONS.items())
def test_the_first_hit_is_what_was_meant(index, asked, meant):
    assert [hit.document.name for hit in index.find(asked)][:1] == [meant]


def test_the_browser_finds_the_same_in_the_same_order(
    built_library: Library, index: Index, browser: Browser, tmp_path: Path
):
    done = built_library.martfeast("site", "--output", str(tmp_path / "s"), cwd=built_library.path)
    assert done.returncode == 0, done.stderr
    page = browser.new_page()
    page.goto((tmp_path / "s/index.html").as_uri())
    words = [word for one in index.documents for word in words_in(one.names)]
    asked = [*QUESTIONS, *words, *(word[:3] for word in words), *(word[1:] for word in words)]
    asked += [
        "Überfällig",
        "naïve  ?!",
        "30d",
        "x",
        "constructor",
        "__proto__",
        "\u017fhelf \u03a3\u0391\u03a3",
    ]
    found = page.evaluate("asked => asked.map(q => martfeastFind(q).map(one => one[1]))", asked)
    assert any(len(one) > 3 for one in found)
    for query, pages in zip(asked, found, strict=True):
        assert pages == [hit.document.page for hit in index.find(query, 1000)], query


def test_a_person_types_reads_the_state_and_follows(
    built_library: Library, browser: Browser, tmp_path: Path
):
    built_library.martfeast("site", "--output", str(tmp_path / "s"), cwd=built_library.path)
    page = browser.new_page()
    page.goto((tmp_path / "s/labels/loan_labels.html").as_uri())
    page.get_by_role("searchbox").fill("overdue share")
    page.keyboard.press("Enter")
    hit = page.locator("#hits li").first
    assert "overdue_share_30d ready feature of member_activity_daily" in hit.inner_text()
    assert page.locator("#found-count").inner_text().split()[1] == "hits"
    page.get_by_role("searchbox").press("Enter")  # to the first hit, and on to its page
    page.keyboard.press("Enter")
    page.wait_for_url("**/features/member_activity_daily.overdue_share_30d.html")
    page.goto((tmp_path / "s/index.html").as_uri() + "?q=zzzzzz")
    assert page.locator("#found-count").inner_text().startswith("Nothing found.")


def test_what_is_ready_comes_before_what_is_held_back(library: Library):
    def take_out_group(manifest):
        node = next(n for n in manifest["nodes"].values() if n["name"] == "title_availability")
        node["description"] = node["config"]["group"] = node["group"] = ""

    library.edit_manifest(take_out_group)
    index = make_index(collect(assess(read_project(library.path))))
    by_matched: dict[int, list[str]] = {}
    for hit in index.find("title member days share copies", 50):
        by_matched.setdefault(hit.matched, []).append(hit.document.state)
    assert any({"held back", "ready"} <= set(of_one) for of_one in by_matched.values())
    for of_one in by_matched.values():
        held = [state == "held back" for state in of_one]
        assert held == sorted(held)


def test_the_terminal_says_it_as_text_and_as_json(built_library: Library):
    done = built_library.martfeast("find", "overdue", "share", cwd=built_library.path)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first == "member_activity_daily:overdue_share_30d  feature, ready"
    done = built_library.martfeast("find", "--json", "overdue share", cwd=built_library.path)
    assert json.loads(done.stdout)[0]["page"].endswith(
        "member_activity_daily.overdue_share_30d.html"
    )
    done = built_library.martfeast("find", "zzzzzz", cwd=built_library.path)
    assert (done.returncode, done.stdout.split(".")[0]) == (1, "Nothing found")


@pytest.mark.parametrize(
    ("one", "other", "is_so"),
    [
        ("visibillity", "visibility", True),
        ("visiblity", "visibility", True),
        ("vizibility", "visibility", True),
        ("viisbility", "visibility", True),
        ("visibility", "visibility", False),
        ("vivibilita", "visibility", False),
        ("", "a", True),
    ],
)
def test_one_letter_off(one, other, is_so):
    assert is_one_off(one, other) is is_so
    assert is_one_off(other, one) is is_so


def test_words_are_compared_bare():
    assert words_in("The Loans' Überfällige_share, class!") == [
        "loan",
        "uberfallige",
        "share",
        "class",
    ]
