"""Says how well a model's scores serve each level of each group column, and how sure that is.

Where base rates differ, no score that errs at all can be calibrated at every level and also have
equal false-positive and false-negative shares there (Chouldechova, Big Data 5(2), 2017; Kleinberg,
Mullainathan and Raghavan, arXiv:1609.05807, 2016). So each difference in errors is reported beside
the difference in base rates. Which of them should be equal is for people to decide.
"""

import math
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, rankdata

CONFIDENCE = 0.95
FEWEST_OF_A_CLASS = 10
NO_LEVEL = "(none)"
METRICS = {
    "base_rate": "base rate",
    "flagged_share": "flagged share",
    "false_positive_share": "false-positive share",
    "false_negative_share": "false-negative share",
    "calibration_gap": "mean score minus base rate",
    "auc": "AUC",
}


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval: a share, an AUC or a difference of shares."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """One level of a group column, or its small levels pooled.

    rows: how many. base_rate: share of true labels. flagged_share: share of scores at or above the
    threshold. false_positive_share: share flagged among false labels. false_negative_share: share
    not flagged among true labels. calibration_gap: mean score minus base rate. auc: area under the
    ROC curve. None is a share of no rows, or an AUC of fewer than ten rows of either class.
    """

    name: str
    rows: int
    base_rate: Estimate
    flagged_share: Estimate
    false_positive_share: Estimate | None
    false_negative_share: Estimate | None
    calibration_gap: Estimate
    auc: Estimate | None


@dataclass(frozen=True)
class Disparity:
    """The widest difference of one metric between two levels that are large enough.

    It is the widest of those whose intervals lie apart, if any do (is_shown), else the widest.
    metric: a key of METRICS. difference: of the metric, highest minus lowest, 0 or more.
    base_rate_difference: between the same levels in the same order, so it may be negative.
    is_base_rate_difference_shown: whether the intervals of the two base rates lie apart.
    """

    metric: str
    highest: str
    lowest: str
    difference: float
    is_shown: bool
    base_rate_difference: float
    is_base_rate_difference_shown: bool


@dataclass(frozen=True)
class GroupColumn:
    """How the scores serve the levels of one column.

    levels: most rows first, the pool last. disparities: one per metric that two levels have.
    pooled_levels: names of the levels with too few rows, sorted; pooled_rows: how many rows those
    have together.
    """

    name: str
    levels: list[Level]
    disparities: list[Disparity]
    pooled_levels: list[str]
    pooled_rows: int


@dataclass(frozen=True)
class FairnessReport:
    """How the scores serve the levels of each group column.

    threshold: the score from which a row is flagged. minimum_rows: what makes a level large enough.
    """

    rows: int
    threshold: float
    minimum_rows: int
    columns: list[GroupColumn]

    def as_json(self) -> dict[str, Any]:
        """Return the report for ``json.dumps``."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """Return what a decision-maker should know, in plain words, column by column."""
        return [
            f"A score of {self.threshold:.3f} or more is flagged, among {self.rows:,} rows."
            f" Intervals, in brackets, hold for all levels of a column at once with"
            f" {CONFIDENCE:.0%} confidence. Levels whose intervals overlap are not shown to differ,"
            f" which does not show that they are equal. The intervals take rows as independent;"
            f" where rows share causes, such as one day's events, they are too narrow.",
            *(sentence for column in self.columns for sentence in self._about(column)),
            "Where base rates differ, no score that errs at all can have both equal error shares"
            " and scores that mean the same chance at every level: which of the two should be"
            " equal is a decision, not a measurement.",
        ]

    def _about(self, column: GroupColumn) -> list[str]:
        sentences = []
        if column.pooled_levels:
            count = len(column.pooled_levels)
            are = "1 level is" if count == 1 else f"{count} levels are"
            sentences.append(
                f"{column.name}: {are} too small to judge alone and pooled, with"
                f" {column.pooled_rows:,} rows together: {', '.join(column.pooled_levels)}."
            )
        if not column.disparities:
            sentences.append(
                f"{column.name}: nothing can be compared, because fewer than two levels have"
                f" {self.minimum_rows:,} rows."
            )
        levels = {level.name: level for level in column.levels}
        not_shown = []
        for found in column.disparities:
            high, low = levels[found.highest], levels[found.lowest]
            if not found.is_shown:
                not_shown.append(METRICS[found.metric])
            elif found.metric in _SENTENCES:
                sentences.append(
                    _SENTENCES[found.metric].format(
                        high=f"where {column.name} is {high.name}",
                        low=f"where it is {low.name}",
                        at_high=_show(found.metric, high),
                        at_low=_show(found.metric, low),
                    )
                    + _cause(found, high, low)
                )
        if not_shown:
            sentences.append(
                f"{column.name}: its large levels are not shown to differ in {', '.join(not_shown)}"
                " (their intervals overlap)."
            )
        return sentences

    def as_markdown(self) -> str:
        """Return tables: for each column its levels, then its disparities."""
        lines = []
        for column in self.columns:
            lines += [
                f"### {column.name}",
                "",
                f"| level | rows | {' | '.join(METRICS.values())} |",
                f"| --- | ---: |{' ---: |' * len(METRICS)}",
            ]
            for level in column.levels:
                cells = [_show(metric, level) for metric in METRICS]
                name = level.name.replace("|", "\\|")
                lines.append(f"| {name} | {level.rows:,} | {' | '.join(cells)} |")
            lines += [
                "",
                "| widest difference | highest | lowest | difference | shown"
                " | base rates differ by | shown |",
                "| --- | --- | --- | ---: | --- | ---: | --- |",
            ]
            for found in column.disparities:
                highest, lowest = (n.replace("|", "\\|") for n in (found.highest, found.lowest))
                lines.append(
                    f"| {METRICS[found.metric]} | {highest} | {lowest} | {found.difference:.3f}"
                    f" | {'yes' if found.is_shown else 'no'} | {found.base_rate_difference:.3f}"
                    f" | {'yes' if found.is_base_rate_difference_shown else 'no'} |"
                )
            lines.append("")
        return "\n".join(lines)


_SENTENCES = {
    "false_positive_share": (
        "Of the rows with a false label {high}, {at_high} are flagged wrongly, against {at_low}"
        " {low}"
    ),
    "false_negative_share": (
        "Of the rows with a true label {high}, {at_high} are missed, against {at_low} {low}"
    ),
    "calibration_gap": (
        "The mean score minus the base rate is {at_high} {high}, against {at_low} {low}"
    ),
    "auc": (
        "The scores tell true from false labels better {high}, with an AUC of {at_high}, than"
        " {low}, with {at_low}"
    ),
}


def _cause(found: Disparity, high: Level, low: Level) -> str:
    """Say whether a shown difference goes with the base rates; the end of a sentence."""
    if found.metric == "calibration_gap":
        return ": the same score does not mean the same chance at both."
    if found.metric == "auc":
        return "."
    rates = f"; the base rates are {_show('base_rate', high)} and {_show('base_rate', low)}"
    # More true labels raise the scores, so more false labels are flagged and fewer true missed.
    sign = -1 if found.metric == "false_negative_share" else 1
    if not found.is_base_rate_difference_shown:
        return f"{rates}, not shown to differ, so base rates do not explain it."
    if sign * found.base_rate_difference < 0:
        return f"{rates}, which would make for the opposite, so base rates do not explain it."
    return (
        f"{rates}, so some difference in this direction is to be expected even of a calibrated"
        f" score. Here it is {100 * found.difference:.1f} points, beside"
        f" {100 * abs(found.base_rate_difference):.1f} points between the base rates."
    )


def _show(metric: str, level: Level) -> str:
    """Return a level's metric with its interval; a dash for None."""
    found: Estimate | None = getattr(level, metric)
    if found is None:
        return "-"
    if metric == "auc":
        return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    value, low, high = (100 * number for number in (found.value, found.low, found.high))
    if metric == "calibration_gap":
        return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
    return f"{value:.1f}% ({low:.1f} to {high:.1f})"


def judge_fairness(
    labels: "pd.Series[Any]",
    scores: NDArray[np.float64],
    groups: pd.DataFrame,
    threshold: float,
    minimum_rows: int = 500,
) -> FairnessReport:
    """Judge how well scores serve each level of each group column.

    Intervals hold for all levels of a column at once (Bonferroni: each at 1 - 0.05 / levels), so
    any two that lie apart show a difference, however many levels a column has. They take rows as
    independent, and are analytic: fairlearn's bootstrap takes about 1 s per resample here. For
    shares they are Wilson's (1927); for the AUC DeLong's (Biometrics 44(3), 1988), by mid-ranks
    (Sun and Xu, IEEE Signal Processing Letters 21(11), 2014), on the logit scale, which holds with
    few true labels too (Pepe, The Statistical Evaluation of Medical Tests, 2003); for calibration
    that of a mean of differences.

    Args:
        labels: 0 or 1, or False or True; one per row.
        scores: the predicted probability of a true label, in the order of labels.
        groups: one column per way to group rows, with the index of labels.
        threshold: the score from which a row is flagged.
        minimum_rows: levels with fewer rows are pooled, and compared with nothing.

    Returns:
        The report, with an entry per column of groups.

    Raises:
        ValueError: what is wrong with which argument or column, and what to do.

    """
    _check(labels, scores, groups, threshold)
    pool = f"(fewer than {minimum_rows:,} rows)"
    columns = []
    for name in groups.columns:
        levels = groups[name].astype(object).where(groups[name].notna(), NO_LEVEL).astype(str)
        counts = levels.value_counts()
        small = sorted(counts.index[counts < minimum_rows])
        levels = levels.where(~levels.isin(small), pool)
        confidence = 1 - (1 - CONFIDENCE) / levels.nunique()
        measure = partial(_measure, threshold=threshold, confidence=confidence)
        by_level = MetricFrame(
            metrics={"level": measure},
            y_true=labels.to_numpy().astype(int),
            y_pred=scores,
            sensitive_features=levels.to_numpy(),
        ).by_group["level"]
        judged = [Level(name=level, **measured) for level, measured in by_level.items()]
        judged.sort(key=lambda level: (level.name == pool, -level.rows, level.name))
        columns.append(
            GroupColumn(
                name=str(name),
                levels=judged,
                disparities=_disparities([level for level in judged if level.name != pool]),
                pooled_levels=small,
                pooled_rows=int(counts[small].sum()),
            )
        )
    return FairnessReport(len(labels), threshold, minimum_rows, columns)


def _check(
    labels: "pd.Series[Any]", scores: NDArray[np.float64], groups: pd.DataFrame, threshold: float
) -> None:
    """Raise ValueError for the first thing that cannot be judged."""
    if not len(labels) == len(scores) == len(groups):
        raise ValueError(
            f"labels '{labels.name}' has {len(labels):,} rows, scores {len(scores):,} and groups"
            f" {len(groups):,}: give all three for the same rows."
        )
    if not labels.index.equals(groups.index):
        raise ValueError(
            f"labels '{labels.name}' and groups have different indexes: select both from one table,"
            " so that rows belong together."
        )
    if not labels.isin([0, 1]).all():
        raise ValueError(
            f"labels '{labels.name}' has values other than 0 and 1: drop rows without a label, and"
            " make the label a yes or no."
        )
    if labels.nunique() < 2:
        raise ValueError(
            f"labels '{labels.name}' has one class only: take rows of both, or a longer period."
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            "scores has values outside 0 to 1, or NaN: give the probability of a true label, such"
            " as predict_proba(...)[:, 1]."
        )
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}: give a score between 0 and 1, both excluded.")
    if groups.columns.empty:
        raise ValueError("groups has no column: name at least one group column.")
    for name in groups.columns:
        if groups[name].isna().all():
            raise ValueError(
                f"group column '{name}' is entirely null: fill it where it is made, or leave it"
                " out of the groups."
            )
        if groups[name].nunique(dropna=False) == 1:
            raise ValueError(
                f"group column '{name}' has one level only, so there is nothing to compare: leave"
                " it out of the groups, or take rows of other levels too."
            )


def _measure(
    labels: NDArray[np.int64], scores: NDArray[np.float64], threshold: float, confidence: float
) -> dict[str, Any]:
    """Return the fields of a Level, but its name."""
    is_true, is_flagged = np.asarray(labels) == 1, np.asarray(scores) >= threshold
    base_rate = _share(is_true, confidence)
    assert base_rate is not None
    has_both = min(is_true.sum(), (~is_true).sum()) >= FEWEST_OF_A_CLASS
    errors = np.asarray(scores) - is_true
    gap = float(errors.mean())
    if has_both:
        width = _z(confidence) * float(errors.std(ddof=1)) / math.sqrt(len(errors))
        gap_interval = Estimate(gap, gap - width, gap + width)
    else:  # Too few of a class for their spread to say much: the Wilson interval of the base rate.
        mean_score = gap + base_rate.value
        gap_interval = Estimate(gap, mean_score - base_rate.high, mean_score - base_rate.low)
    return {
        "rows": len(labels),
        "base_rate": base_rate,
        "flagged_share": _share(is_flagged, confidence),
        "false_positive_share": _share(is_flagged[~is_true], confidence),
        "false_negative_share": _share(~is_flagged[is_true], confidence),
        "calibration_gap": gap_interval,
        "auc": _auc(is_true, np.asarray(scores), confidence) if has_both else None,
    }


def _share(is_counted: NDArray[np.bool_], confidence: float) -> Estimate | None:
    """Return the share of True with its Wilson interval; None of no rows."""
    if not len(is_counted):
        return None
    test = binomtest(int(is_counted.sum()), len(is_counted))
    interval = test.proportion_ci(confidence, method="wilson")
    return Estimate(float(is_counted.mean()), float(interval.low), float(interval.high))


def _auc(is_true: NDArray[np.bool_], scores: NDArray[np.float64], confidence: float) -> Estimate:
    """Return the AUC with DeLong's interval on the logit scale."""
    ranks, true, false = rankdata(scores), scores[is_true], scores[~is_true]
    # For each row, the share of the other class that it is ranked rightly against.
    of_true = (ranks[is_true] - rankdata(true)) / len(false)
    of_false = 1 - (ranks[~is_true] - rankdata(false)) / len(true)
    value = float(of_true.mean())
    if value in (0, 1):  # No variance to be seen: take rows of either class as independent pairs.
        pairs = _share(np.full(min(len(true), len(false)), value == 1), confidence)
        assert pairs is not None
        return pairs
    variance = of_true.var(ddof=1) / len(true) + of_false.var(ddof=1) / len(false)
    width = _z(confidence) * math.sqrt(variance) / (value * (1 - value))
    return Estimate(value, float(expit(logit(value) - width)), float(expit(logit(value) + width)))


def _z(confidence: float) -> float:
    return float(norm.ppf((1 + confidence) / 2))


def _disparities(levels: list[Level]) -> list[Disparity]:
    """Return the widest difference of each metric that two levels have."""
    found = []
    for metric in METRICS:
        judged = [level for level in levels if getattr(level, metric) is not None]
        judged.sort(key=lambda level: getattr(level, metric).value)
        pairs = [
            Disparity(
                metric=metric,
                highest=high.name,
                lowest=low.name,
                difference=getattr(high, metric).value - getattr(low, metric).value,
                is_shown=_are_apart(getattr(high, metric), getattr(low, metric)),
                base_rate_difference=high.base_rate.value - low.base_rate.value,
                is_base_rate_difference_shown=_are_apart(high.base_rate, low.base_rate),
            )
            for low, high in combinations(judged, 2)
        ]
        if pairs:
            found.append(max(pairs, key=lambda pair: (pair.is_shown, pair.difference)))
    return found


def _are_apart(one: Estimate, other: Estimate) -> bool:
    return one.low > other.high or other.low > one.high
