"""Fairness: counts to verify by eye, intervals that cover the truth, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from martfeast.fairness import (
    METRICS,
    Estimate,
    FairnessReport,
    GroupColumn,
    Level,
    judge_fairness,
)
from scipy.stats import norm
from sklearn.metrics import roc_auc_score


def rows_of(level, *, true_flagged=0, true_missed=0, false_flagged=0, false_left=0):
    """Rows of one level: scores of 0.8 are flagged at 0.5, scores of 0.2 are not."""
    kinds = [(1, 0.8, true_flagged), (1, 0.2, true_missed), (0, 0.8, false_flagged)]
    kinds.append((0, 0.2, false_left))
    return [(level, label, score) for label, score, count in kinds for _ in range(count)]


def judge(rows, minimum_rows=1, threshold=0.5) -> FairnessReport:
    table = pd.DataFrame(rows, columns=["shop", "is_returned", "score"])
    return judge_fairness(
        table["is_returned"],
        table["score"].to_numpy(dtype="float64"),
        table[["shop"]],
        threshold,
        minimum_rows,
    )


def levels(report, column=0) -> dict[str, Level]:
    return {level.name: level for level in report.columns[column].levels}


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def disparity(report, metric):
    return next(found for found in report.columns[0].disparities if found.metric == metric)


NORTH = rows_of("north", true_flagged=30, true_missed=10, false_flagged=20, false_left=40)
SOUTH = rows_of("south", true_flagged=10, true_missed=10, false_flagged=8, false_left=72)


def test_counts_by_hand():
    north, south = levels(judge(NORTH + SOUTH)).values()
    assert (north.name, north.rows, south.name, south.rows) == ("north", 100, "south", 100)
    assert north.base_rate.value == 0.4 and south.base_rate.value == 0.2
    assert north.flagged_share.value == 0.5 and south.flagged_share.value == 0.18
    assert known(north.false_positive_share).value == pytest.approx(20 / 60)
    assert known(south.false_positive_share).value == pytest.approx(8 / 80)
    assert known(north.false_negative_share).value == 10 / 40
    assert known(south.false_negative_share).value == 10 / 20
    # north: 50 scores of 0.8 and 50 of 0.2; south: 18 of 0.8 and 82 of 0.2.
    assert north.calibration_gap.value == pytest.approx(0.5 - 0.4)
    assert south.calibration_gap.value == pytest.approx((18 * 0.8 + 82 * 0.2) / 100 - 0.2)
    # Pairs of a true and a false label: ranked rightly is 1, a tie is a half.
    assert known(north.auc).value == pytest.approx((30 * 40 + (30 * 20 + 10 * 40) / 2) / (40 * 60))


def test_a_score_at_the_threshold_is_flagged():
    assert levels(judge(NORTH + SOUTH, threshold=0.8))["north"].flagged_share.value == 0.5
    assert levels(judge(NORTH + SOUTH, threshold=0.81))["north"].flagged_share.value == 0


def test_intervals_by_hand():
    """Two levels at once: each at 97.5%. Wilson, DeLong, a mean."""
    z = norm.ppf(1 - 0.025 / 2)
    north = levels(judge(NORTH + SOUTH))["north"]
    share, n = 0.4, 100
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert north.base_rate.low == pytest.approx(centre - half)
    assert north.base_rate.high == pytest.approx(centre + half)

    # Scores minus labels: -0.2 thirty times, -0.8 ten, 0.8 twenty, 0.2 forty.
    errors = np.repeat([-0.2, -0.8, 0.8, 0.2], [30, 10, 20, 40])
    half = z * errors.std(ddof=1) / 10
    assert north.calibration_gap.low == pytest.approx(0.1 - half)
    assert north.calibration_gap.high == pytest.approx(0.1 + half)

    # A true label at 0.8 is right against 40 of 60 and half right against 20; one at 0.2 half right
    # against 40. A false label at 0.2 is right against 30 of 40 and half against 10.
    of_true = np.repeat([50 / 60, 20 / 60], [30, 10])
    of_false = np.repeat([15 / 40, 35 / 40], [20, 40])
    half = z * np.sqrt(of_true.var(ddof=1) / 40 + of_false.var(ddof=1) / 60)
    auc = known(north.auc).value
    odds, stretch = auc / (1 - auc), np.exp(half / (auc * (1 - auc)))
    assert known(north.auc).low / (1 - known(north.auc).low) == pytest.approx(odds / stretch)
    assert known(north.auc).high / (1 - known(north.auc).high) == pytest.approx(odds * stretch)


def test_a_perfect_auc_is_not_certain():
    """Ten independent pairs ranked rightly, by Wilson: n / (n + z^2) at least."""
    right = rows_of("a", true_flagged=10, false_left=30)
    wrong = rows_of("b", true_missed=10, false_flagged=30)
    a, b = levels(judge(right + wrong)).values()
    z = norm.ppf(1 - 0.025 / 2)
    assert (known(a.auc).value, known(b.auc).value) == (1, 0)
    assert (known(a.auc).low, known(a.auc).high) == pytest.approx((10 / (10 + z**2), 1))
    assert (known(b.auc).low, known(b.auc).high) == pytest.approx((0, z**2 / (10 + z**2)))


def test_intervals_widen_with_the_number_of_levels():
    """Any two levels may be compared, so more levels need more certainty of each."""
    two, three = judge(NORTH + SOUTH), judge(NORTH + SOUTH + rows_of("east", true_flagged=50))
    for metric in METRICS:
        narrow, wide = (
            getattr(levels(two)["north"], metric),
            getattr(levels(three)["north"], metric),
        )
        assert narrow.value == wide.value
        assert wide.low < narrow.low and wide.high > narrow.high, metric


def test_auc_of_many_scores_is_scikit_learns():
    random = np.random.default_rng(1)
    scores = random.random(600).round(2)  # ties
    labels = pd.Series(random.random(600) < scores)
    shop = pd.DataFrame({"shop": np.where(np.arange(600) < 300, "a", "b")})
    for name, level in levels(judge_fairness(labels, scores, shop, 0.5, 1)).items():
        here = shop["shop"] == name
        assert known(level.auc).value == pytest.approx(roc_auc_score(labels[here], scores[here]))


def test_intervals_cover_the_truth_at_about_the_nominal_rate():
    """Of two levels: each interval at 97.5%, both at once at 95%. 300 draws of known truth.

    A score s is drawn from Beta(2, 4) and the label is true with chance s at level a, s squared at
    level b; the truths come from numerical integration.
    """
    s = (np.arange(200_000) + 0.5) / 200_000
    density = s * (1 - s) ** 3
    density /= density.sum()
    truths = {}
    for name, power in (("a", 1), ("b", 2)):
        true, false = density * s**power, density * (1 - s**power)
        base_rate = true.sum()
        truths[name] = {
            "base_rate": base_rate,
            "flagged_share": density[s >= 0.4].sum(),
            "false_positive_share": false[s >= 0.4].sum() / false.sum(),
            "false_negative_share": true[s < 0.4].sum() / base_rate,
            "calibration_gap": (density * s).sum() - base_rate,
            "auc": (true * np.cumsum(false)).sum() / (base_rate * false.sum()),
        }
    random = np.random.default_rng(20)
    shop = pd.DataFrame({"shop": np.repeat(["a", "b"], 600)})
    powers = np.repeat([1, 2], 600)
    covered = {(name, metric): 0 for name in truths for metric in METRICS}
    for _ in range(300):
        scores = random.beta(2, 4, 1200)
        labels = pd.Series(random.random(1200) < scores**powers)
        for name, level in levels(judge_fairness(labels, scores, shop, 0.4)).items():
            for metric, truth in truths[name].items():
                found = getattr(level, metric)
                covered[name, metric] += found.low <= truth <= found.high
    # 97.5% of 300 is 292.5, with a standard deviation of 2.7: three of those either side.
    assert {case: count for case, count in covered.items() if not 284 <= count <= 299} == {}


def test_where_levels_are_alike_a_difference_is_seldom_shown():
    """Forty levels, one truth: some of 780 pairs are always apart unless all count at once."""
    random = np.random.default_rng(5)
    shop = pd.DataFrame({"shop": np.arange(8000) % 40})
    shown = 0
    for _ in range(20):
        scores = random.beta(2, 4, 8000)
        labels = pd.Series(random.random(8000) < scores)
        report = judge_fairness(labels, scores, shop, 0.4, 100)
        shown += any(found.is_shown for found in report.columns[0].disparities)
    assert shown <= 2


def test_small_levels_are_pooled_and_not_compared():
    small = rows_of("tiny", false_flagged=3) + rows_of("wee", true_missed=2)
    report = judge(NORTH + SOUTH + small, minimum_rows=100)
    column = report.columns[0]
    assert list(levels(report)) == ["north", "south", "(fewer than 100 rows)"]
    assert (column.pooled_levels, column.pooled_rows) == (["tiny", "wee"], 5)
    pool = column.levels[-1]
    assert (pool.rows, pool.base_rate.value, pool.auc) == (5, 0.4, None)
    assert known(pool.false_positive_share).value == known(pool.false_negative_share).value == 1
    assert {found.highest for found in column.disparities} == {"north", "south"}
    assert report.sentences()[1] == (
        "shop: 2 levels are too small to judge alone and pooled, with 5 rows together: tiny, wee."
    )


def test_the_pool_comes_last_however_large():
    small = [row for shop in "abc" for row in rows_of(shop, false_left=90)]
    report = judge(SOUTH + NORTH + small + rows_of("east", false_left=101), minimum_rows=100)
    assert [(level.name, level.rows) for level in report.columns[0].levels] == [
        ("east", 101),
        ("north", 100),
        ("south", 100),
        ("(fewer than 100 rows)", 270),
    ]


def test_one_large_level_has_nothing_to_compare_with():
    report = judge(NORTH + rows_of("tiny", false_flagged=3), minimum_rows=100)
    assert report.columns[0].disparities == []
    assert report.sentences()[1:3] == [
        "shop: 1 level is too small to judge alone and pooled, with 3 rows together: tiny.",
        "shop: nothing can be compared, because fewer than two levels have 100 rows.",
    ]


def test_a_null_level_is_a_level():
    report = judge(NORTH + [(None, label, score) for _, label, score in SOUTH])
    assert levels(report)["(none)"].rows == 100
    assert levels(report)["(none)"].base_rate.value == 0.2
    named = [("(none)", label, score) for _, label, score in NORTH]
    found = levels(judge(named + [(None, label, score) for _, label, score in SOUTH]))
    assert {name: level.rows for name, level in found.items()} == {"(none)": 100, "'(none)'": 100}


@pytest.mark.parametrize("values", [[True, False], [7, 8], [0.5, np.nan]])
def test_levels_may_be_of_any_type(values):
    rows = [(values[shop == "south"], *rest) for shop, *rest in NORTH + SOUTH]
    names = [str(values[0]), "(none)" if values[1] != values[1] else str(values[1])]
    assert {name: level.rows for name, level in levels(judge(rows)).items()} == dict.fromkeys(
        names, 100
    )


def test_a_level_of_one_class_has_no_auc_and_no_share_of_the_other():
    report = judge(NORTH + rows_of("calm", false_flagged=5, false_left=15))
    calm = levels(report)["calm"]
    assert calm.auc is None and calm.false_negative_share is None
    # No true label among 20: the base rate may still be above 0, by Wilson z^2 / (n + z^2).
    z = norm.ppf(1 - 0.025 / 2)
    mean_score = (5 * 0.8 + 15 * 0.2) / 20
    assert calm.calibration_gap.value == pytest.approx(mean_score)
    assert calm.calibration_gap.high == pytest.approx(mean_score)
    assert calm.calibration_gap.low == pytest.approx(mean_score - z**2 / (20 + z**2))
    assert [found.metric for found in report.columns[0].disparities] == [
        "base_rate",
        "flagged_share",
        "false_positive_share",
        "calibration_gap",
    ]


@pytest.mark.parametrize(("true_labels", "has_auc"), [(9, False), (10, True)])
def test_an_auc_needs_ten_of_each_class(true_labels, has_auc):
    level = rows_of("a", true_flagged=true_labels, false_left=50, false_flagged=1)
    other = rows_of("b", false_flagged=true_labels, true_flagged=50, true_missed=1)
    for judged in levels(judge(NORTH + level + other)).values():
        assert (judged.auc is not None) == (has_auc or judged.name == "north")


def test_disparity_stands_beside_the_base_rates():
    report = judge([row for row in NORTH + SOUTH for _ in range(10)])
    wrongly, missed = (disparity(report, f"false_{way}_share") for way in ("positive", "negative"))
    assert (wrongly.highest, wrongly.lowest) == ("north", "south")
    assert wrongly.difference == pytest.approx(20 / 60 - 8 / 80)
    assert wrongly.base_rate_difference == pytest.approx(0.2)
    assert (missed.highest, missed.lowest) == ("south", "north")
    assert missed.difference == pytest.approx(0.25)
    assert missed.base_rate_difference == pytest.approx(-0.2)
    assert all(
        found.is_shown and found.is_base_rate_difference_shown for found in (wrongly, missed)
    )
    text = "\n".join(report.sentences())
    assert (
        "Of the rows with a false label where shop is north, 33.3% (29.2 to 37.8) are flagged"
        " wrongly, against 10.0% (7.9 to 12.6) where it is south; the base rates are 40.0% (36.6 to"
        " 43.5) and 20.0% (17.3 to 23.0), so some difference in this direction is to be expected"
        " even of a calibrated score. Here it is 23.3 points, beside 20.0 points between the base"
        " rates." in text
    )
    assert "are missed, against 25.0%" in text and "which would make for the opposite" not in text


def test_base_rates_are_not_blamed_for_what_they_do_not_explain():
    alike = rows_of("east", true_flagged=300, true_missed=100, false_flagged=60, false_left=540)
    north = [row for row in NORTH for _ in range(10)]
    text = "\n".join(judge(north + alike).sentences())
    assert "40.0% (36.6 to 43.5), not shown to differ, so base rates do not explain it." in text
    # More true labels than north, and yet fewer of the false flagged.
    opposite = rows_of("west", true_flagged=450, true_missed=150, false_flagged=40, false_left=360)
    text = "\n".join(judge(north + opposite).sentences())
    assert "which would make for the opposite, so base rates do not explain it." in text


def test_overlapping_intervals_are_not_shown_to_differ():
    few = rows_of("west", true_flagged=15, true_missed=5, false_flagged=11, false_left=29)
    report = judge(NORTH + few)
    assert disparity(report, "false_positive_share").difference > 0
    assert not any(found.is_shown for found in report.columns[0].disparities)
    assert report.sentences()[1:-1] == [
        "shop: its large levels are not shown to differ in base rate, flagged share, false-positive"
        " share, false-negative share, mean score minus base rate, AUC (their intervals overlap)."
    ]


def test_a_shown_difference_goes_before_a_wider_one_that_is_not():
    """West has 4 false labels, half of them flagged: nothing is known of its share."""
    west = rows_of("west", true_flagged=60, true_missed=40, false_flagged=2, false_left=2)
    found = disparity(
        judge([row for row in NORTH + SOUTH for _ in range(10)] + west), "false_positive_share"
    )
    assert (found.highest, found.lowest, found.is_shown) == ("north", "south", True)


def test_report_as_json_and_markdown():
    report = judge([("a|b" if shop == "north" else shop, *rest) for shop, *rest in NORTH + SOUTH])
    document = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert (document["rows"], document["threshold"], document["minimum_rows"]) == (200, 0.5, 1)
    assert document["columns"][0]["levels"][0]["base_rate"]["value"] == 0.4
    lines = report.as_markdown().splitlines()
    assert lines[0] == "### shop"
    assert lines[4].startswith("| a\\|b | 100 | 40.0% (29.8 to 51.2) | 50.0% (39.1 to 60.9) |")
    assert "| +10.0 points (" in lines[4]
    assert "| false-positive share | a\\|b | south | 0.233 | yes | 0.200 | no |" in lines
    tables = [line.replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    assert tables == [9] * 4 + [8] * 8


def test_a_dash_stands_for_what_has_no_value():
    level = replace(levels(judge(NORTH + SOUTH))["north"], auc=None)
    column = GroupColumn("shop", [level], [], [], 0)
    assert "| - |" in FairnessReport(100, 0.5, 1, [column]).as_markdown()


def arguments(**changed):
    table = pd.DataFrame(NORTH + SOUTH, columns=["shop", "is_returned", "score"])
    given = {
        "labels": table["is_returned"],
        "scores": table["score"].to_numpy(),
        "groups": table[["shop"]],
        "threshold": 0.5,
    }
    return given | changed


LABELS = pd.Series([label for _, label, _ in NORTH + SOUTH], name="is_returned")
SHOPS = pd.DataFrame({"shop": [shop for shop, *_ in NORTH + SOUTH]})


@pytest.mark.parametrize(
    ("changed", "problem", "next_step"),
    [
        ({"scores": np.full(199, 0.5)}, "'is_returned' has 200 rows, scores 199", "same rows"),
        ({"groups": SHOPS[:-1]}, "groups 199", "same rows"),
        ({"groups": SHOPS[::-1]}, "'is_returned' and groups have different indexes", "one table"),
        ({"labels": LABELS.replace(1, 2)}, "'is_returned' has values other than 0 and 1", "drop"),
        ({"labels": LABELS.astype("Int64").mask(LABELS == 1)}, "values other than", "drop"),
        ({"labels": LABELS.astype(str)}, "values other than", "yes or no"),
        ({"labels": LABELS * 0}, "'is_returned' has one class only", "longer period"),
        ({"labels": LABELS * 0 == 0}, "'is_returned' has one class only", "longer period"),
        ({"scores": np.full(200, 1.1)}, "scores has values outside 0 to 1", "predict_proba"),
        ({"scores": np.full(200, -0.1)}, "scores has values outside 0 to 1", "predict_proba"),
        ({"scores": np.full(200, np.nan)}, "or NaN", "predict_proba"),
        ({"threshold": 0.0}, "threshold is 0.0", "between 0 and 1"),
        ({"threshold": 1.0}, "threshold is 1.0", "between 0 and 1"),
        ({"threshold": float("nan")}, "threshold is nan", "between 0 and 1"),
        ({"groups": SHOPS[[]]}, "groups has no column", "at least one"),
        ({"groups": SHOPS.assign(aisle=None)}, "'aisle' is entirely null", "leave it out"),
        ({"groups": SHOPS.assign(aisle="x")}, "'aisle' has one level only", "leave it out"),
    ],
)
def test_what_cannot_be_judged_is_refused(changed, problem, next_step):
    with pytest.raises(ValueError) as refused:
        judge_fairness(**arguments(**changed))
    assert problem in str(refused.value) and next_step in str(refused.value)


def test_labels_may_be_booleans_or_numbers():
    as_numbers = judge_fairness(**arguments(), minimum_rows=1)
    for type_ in ("bool", "float64", "Int64", "boolean"):
        assert (
            judge_fairness(**arguments(labels=LABELS.astype(type_)), minimum_rows=1) == as_numbers
        )


def test_estimates_keep_their_ends_in_order():
    for level in levels(judge(NORTH + SOUTH)).values():
        for metric in METRICS:
            found = getattr(level, metric)
            assert isinstance(found, Estimate) and found.low < found.value < found.high
