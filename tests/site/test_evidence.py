"""What the site says of values, runs and columns, against the evidence itself."""

import json
from pathlib import Path

import duckdb
import pytest
from conftest import Library
from martfeast.site.mart import Feature
from martfeast.site.profile import FEWEST_ROWS, measure
from test_site import text_of, write_site


def feature(name: str) -> Feature:
    return Feature("view", name, "", "", "", "")


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """A file with values of every kind, and some that only few rows have."""
    file = tmp_path / "values.parquet"
    duckdb.sql(
        f"""
        copy (
            select
                case when i % 4 > 0 then i % 10 end as whole,
                case when i = 5 then 'nan' when i = 6 then 'inf' else i / 100 end::double as number,
                i % 2 = 0 as flag,
                case when i < {FEWEST_ROWS - 1} then 'rare' when i % 3 = 0 then '<b>' else 'common'
                end as word,
                timestamp '2024-01-01' + to_days(i) as moment,
                [i] as list,
                null::integer as nothing,
                i::decimal(9, 2) as price,
            from range(1000) as rows(i)
        ) to '{file}'
        """
    )
    return file


def test_values_of_every_kind_are_measured(values):
    names = ["whole", "number", "flag", "word", "moment", "list", "nothing", "price"]
    found = measure(values, [feature(name) for name in [*names, "not_there"]])
    assert list(found) == names
    whole = found["whole"]
    assert whole.null_share == 0.25
    assert (whole.minimum, whole.maximum) == ("0", "9")
    assert len(whole.bars) == 10
    assert sum(bar.share for bar in whole.bars) == pytest.approx(1)
    kept = [i % 10 for i in range(1000) if i % 4]
    assert [bar.share for bar in whole.bars] == pytest.approx(
        [kept.count(value) / 750 for value in range(10)]
    )
    assert found["number"].maximum == "9.99"  # neither NaN nor infinity is a value to draw
    assert len(found["number"].bars) == 20
    assert found["flag"].top == (("false", 0.5), ("true", 0.5))
    assert [value for value, _ in found["word"].top] == ["common", "<b>"]
    assert (found["moment"].minimum, found["moment"].maximum) == ("2024-01-01", "2026-09-26")
    assert (found["list"].distinct > 900, found["list"].top) == (True, ())
    assert (found["nothing"].null_share, found["nothing"].bars) == (1, ())
    assert found["price"].maximum == "999"


def test_what_few_rows_have_is_never_named(values):
    words = json.dumps([str(one) for one in measure(values, [feature("word")]).values()])
    assert "common" in words
    assert "rare" not in words


def test_a_file_that_cannot_be_read_has_no_profile(tmp_path):
    (tmp_path / "cut.parquet").write_text("PAR1")
    assert measure(tmp_path / "cut.parquet", [feature("word")]) == {}
    assert measure(tmp_path / "gone.parquet", [feature("word")]) == {}


def test_values_are_measured_once_per_version_and_not_where_the_owner_says_no(library, tmp_path):
    site = tmp_path / "site"
    assert "measuring 5 features of member_activity_daily" in write_site(library, site)
    assert "measuring" not in write_site(library, site)

    def opt_out(manifest):
        node = next(n for n in manifest["nodes"].values() if n["name"] == "member_activity_daily")
        node["columns"]["is_student"]["config"]["meta"] = {"feast": {"profile": False}}

    library.edit_manifest(opt_out)
    write_site(library, site)
    page = site / "features/member_activity_daily.is_student.html"
    assert "Its owner wants its values not shown" in text_of(page)
    assert (
        "is_student"
        not in json.loads((site / "data/profiles.json").read_text())["views"][
            "member_activity_daily"
        ]["columns"]
    )


def test_the_strip_shows_the_runs_that_failed(library: Library, tmp_path: Path):
    write_site(library, tmp_path / "site")
    page = tmp_path / "site/features/member_activity_daily.html"
    assert "In none of the last 1 dbt runs that tested it did a test fail." in text_of(page)
    test = library.path / "tests/overdue_share_is_a_share.sql"
    test.write_text("select 1 as wrong from {{ ref('member_activity_daily') }}")
    library.dbt("build")
    write_site(library, tmp_path / "site")
    assert "In 1 of the last 2 dbt runs that tested it something failed or warned." in text_of(page)
    assert "overdue_share_is_a_share" in text_of(page)
    assert 'class="failed"' in page.read_text()


def test_a_feature_is_traced_to_its_source(library: Library, tmp_path: Path):
    write_site(library, tmp_path / "site")
    listed = json.loads((tmp_path / "site/data/features.json").read_text())["features"]
    found = next(one for one in listed if one["name"] == "loan_count_30d")
    assert found["trace"]["untraced"] == []
    assert [one["start"]["column"] for one in found["trace"]["links"]][:1] == ["loan_count_30d"]
    page = text_of(tmp_path / "site/features/member_activity_daily.loan_count_30d.html")
    assert "Computed of" in page
