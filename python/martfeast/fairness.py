"""Says how well a model's scores serve each level of each group column, and how sure that is.

Where base rates differ, no score that errs at all can be calibrated at every level and also have
equal false-positive and false-negative shares there (Chouldechova, Big Data 5(2), 2017; Kleinberg,
Mullainathan and Raghavan, arXiv:1609.05807, 2016). So each difference in errors is reported beside
the difference in base rates. Which of them should be equal is for people to decide.
"""

import math
from functools import partial
from itertools import combinations
from typing import Any

from martfeast.extras import extra
from martfeast.fairness_report import (
    CONFIDENCE,
    METRICS,
    Disparity,
    Estimate,
    FairnessReport,
    GroupColumn,
    Level,
)

with extra("fairness"):
    import numpy as np
    import pandas as pd
    from fairlearn.metrics import MetricFrame
    from numpy.typing import NDArray
    from scipy.special import expit, logit
    from scipy.stats import binomtest, norm, rankdata

__all__ = [
    "METRICS",
    "Disparity",
    "Estimate",
    "FairnessReport",
    "GroupColumn",
    "Level",
    "judge_fairness",
]

FEWEST_OF_A_CLASS = 10
NO_LEVEL = "(none)"


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
        levels = groups[name].astype(object).replace(NO_LEVEL, f"'{NO_LEVEL}'")
        levels = levels.where(groups[name].notna(), NO_LEVEL).astype(str)
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
