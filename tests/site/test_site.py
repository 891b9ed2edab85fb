"""The site of the library: what its pages say, that they hold together, and what it refuses."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Library

INJECTED = "<script>alert(1)</script><img src=x onerror=alert(2)> & `code`"


class Links(HTMLParser):
    """Collects what a page leads to, and the addresses in it."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.targets += [found for key in ("href", "src") if (found := given.get(key))]
        if found := given.get("id"):
            self.ids.append(found)


def write_site(library: Library, output: Path, succeeds: bool = True) -> str:
    done = library.martfeast("site", "--output", str(output), cwd=library.path)
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    return done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def text_of(page: Path) -> str:
    """The words of a page, without markup."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page.read_text(), flags=re.DOTALL)
    return " ".join(bare.split())


@pytest.fixture(scope="module")
def site(built_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sites") / "site"
    write_site(built_library, output)
    return output


def test_everything_has_its_lasting_address(site):
    written = set(contents(site))
    assert {
        "index.html",
        "features/member_activity_daily.html",
        "features/member_activity_daily.loan_count_30d.html",
        "features/title_availability.copies_free.html",
        "entities/member.html",
        "models/overdue_prediction.html",
        "labels/loan_labels.html",
        "owners/lending.html",
        "owners/Reader_services.html",
        "readiness.html",
        "releases/1.html",
        "llms.txt",
        "data/features.json",
    } <= written
    # A column that is no feature has no page.
    assert "features/title_availability.shelf_mark.html" not in written


def test_a_feature_answers_its_questions(site, built_library):
    said = text_of(site / "features/member_activity_daily.overdue_share_30d.html")
    version = built_library.published_mart("member_activity_daily")
    assert "Share of those loans that came back late, 0 to 1; null when none was due." in said
    assert "Share, 0 to 1, over the last 30 days" in said
    assert version["version"] in said.replace(" ", "")
    assert re.search(r"It was built again as of \d+ past moments?", said)
    assert f"{version['row_count']:,} rows, known from" in said
    assert "a row is used for 7 days after it was known" in said
    assert "Overdue prediction model, Reader services" in said
    assert "member_activity_daily:overdue_share_30d" in said


def test_a_mart_that_is_held_back_says_why_on_every_page_of_its_own(library, tmp_path):
    library.replace_in("seeds/member_days.csv", "\n", "\n,2024-01-01 00:00:00,1,0.5,true\n")
    library.dbt("build")
    write_site(library, tmp_path / "site")
    readiness = json.loads(library.martfeast("status", "--json", cwd=library.path).stdout)
    held = next(one for one in readiness["marts"] if not one["is_ready"])
    reason = next(
        found
        for one in held["criteria"].values()
        if one["state"] == "fail"
        for found in one["findings"]
    )
    for page in ("readiness.html", f"features/{held['mart']}.html"):
        said = text_of(tmp_path / "site" / page)
        assert "held back" in said.lower()
        assert " ".join(reason.split())[:60] in said.replace("&#39;", "'")
    assert "Ready to use" not in text_of(tmp_path / f"site/features/{held['mart']}.html")


def test_every_link_leads_somewhere(site):
    pages = {file: Links() for file in site.rglob("*.html")}
    for file, found in pages.items():
        found.feed(file.read_text())
    broken = []
    for file, found in pages.items():
        for target in found.targets:
            if re.match(r"(mailto|https?|data):", target):
                continue
            path, _, part = target.partition("#")
            aim = (file.parent / path).resolve() if path else file
            if not aim.exists() or (part and aim in pages and part not in pages[aim].ids):
                broken.append(f"{file.relative_to(site)}: {target}")
    assert broken == []
    assert all(len(found.ids) == len(set(found.ids)) for found in pages.values())


def test_the_same_evidence_gives_the_same_bytes(site, built_library, tmp_path):
    again = tmp_path / "again"
    write_site(built_library, again)
    assert contents(again) == contents(site)
    write_site(built_library, again)  # over what is there, with its ledger
    assert contents(again) == contents(site)


def test_markup_in_descriptions_stays_text(library, tmp_path):
    def inject(manifest):
        for node in [*manifest["nodes"].values(), *manifest["exposures"].values()]:
            node["description"] = INJECTED
            for column in node.get("columns", {}).values():
                column["description"] = INJECTED
        for group in manifest["groups"].values():
            group["owner"]["name"] = INJECTED

    library.edit_manifest(inject)
    write_site(library, tmp_path / "site")
    for file in (tmp_path / "site").rglob("*.html"):
        text = file.read_text()
        assert "<script>alert" not in text, file
        assert "<img" not in text, file
    said = (tmp_path / "site/features/member_activity_daily.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said


def test_what_is_gone_keeps_its_page(library, tmp_path):
    site = tmp_path / "site"
    write_site(library, site)

    def take_out(manifest):
        node = next(n for n in manifest["nodes"].values() if n["name"] == "title_availability")
        node["columns"]["copies_free"]["config"]["meta"] = {"feast": {"feature": False}}
        exposure = manifest["exposures"]["exposure.library.overdue_prediction"]
        exposure["config"]["meta"]["feast"]["features"]["title_availability"] = ["waiting_days"]

    library.edit_manifest(take_out)
    assert "1 of them of what is gone" in write_site(library, site)
    gone = site / "features/title_availability.copies_free.html"
    assert "It was there last in release 1." in text_of(gone)
    listed = json.loads((site / "data/gone.json").read_text())["gone"]
    assert [one["name"] for one in listed] == ["title_availability:copies_free"]
    write_site(library, site)
    assert "It was there last in release 1." in text_of(gone)


def test_a_folder_of_something_else_is_left_alone(built_library, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    said = write_site(built_library, tmp_path / "mine", succeeds=False)
    assert "[not-a-site]" in said
    assert "Name another folder with --output" in said
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_project_that_has_built_nothing_has_a_site_too(parsed, tmp_path):
    write_site(parsed, tmp_path / "site")
    said = text_of(tmp_path / "site/features/member_activity_daily.html")
    assert "Held back" in said
    assert "No version is published yet." in said
    assert "Nothing is published yet" in text_of(tmp_path / "site/index.html")


def test_machines_read_the_same(site):
    features = json.loads((site / "data/features.json").read_text())["features"]
    by_reference = {one["reference"]: one for one in features}
    found = by_reference["member_activity_daily:overdue_share_30d"]
    assert (found["unit"], found["window"]) == ("share, 0 to 1", "last 30 days")
    assert found["entities"] == ["member"]
    assert all((site / one["page"]).exists() for one in features)
    told = (site / "llms.txt").read_text()
    assert "- [member_activity_daily](features/member_activity_daily.html): " in told
