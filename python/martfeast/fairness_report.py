"""What was found of how scores serve groups: figures, sentences and a Markdown page."""

from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.95
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
