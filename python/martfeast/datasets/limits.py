"""What a user of a dataset should know before trusting it, from what was measured."""

from collections.abc import Iterator

from martfeast.datasets.record import ColumnFacts, GroupFacts, LabelAudit, SplitDrift


def find_limits(
    audit: LabelAudit,
    groups: list[GroupFacts],
    drift: SplitDrift | None,
    columns: list[ColumnFacts],
    split: dict[str, tuple[int, int]],
    infinite: dict[str, int],
    trusted: str,
) -> list[str]:
    """Return limits as sentences; none if nothing measured is a reason for caution.

    What stands first is without what nothing can be learned or judged. split: labels, and how many
    of them differ, of the train and the test rows; empty without a split. infinite: by column, the
    number of rows in which it is infinite. trusted: the models that are taken at their word for
    when their rows were known, and why where that is declared.
    """
    return [
        *_of_split(split),
        *_of_labels(audit),
        *(sentence for group in groups for sentence in _of_group(group, audit)),
        *_of_time(audit, drift),
        *_of_columns(columns, infinite),
        *_of_trust(trusted),
    ]


def _of_split(split: dict[str, tuple[int, int]]) -> Iterator[str]:
    for part, use in (("train", "learned from them"), ("test", "judged by them")):
        labels, different = split.get(part, (2, 2))
        if not labels:
            yield f"No {part} row has a label, so nothing can be {use}: choose another --test-from."
        elif different < 2:
            yield (
                f"All {labels:,} labels of the {part} rows are the same, so nothing can be {use}:"
                " choose another --test-from."
            )


def _of_labels(audit: LabelAudit) -> Iterator[str]:
    missing = audit.rows - audit.labelled
    if missing:
        reasons = ", ".join(f"{one.rows:,} {one.reason}" for one in audit.reasons)
        yield (
            f"{missing:,} of {audit.rows:,} rows ({missing / audit.rows:.1%}) have no label"
            f" ({reasons}). What is learned from labels says nothing of them."
        )


def _of_group(group: GroupFacts, audit: LabelAudit) -> Iterator[str]:
    worst = min(group.levels, key=lambda level: level.labelled_share)
    if worst.labelled_share < audit.labelled / audit.rows - 0.02:
        yield (
            f"Rows of {group.group} {worst.level} are labelled least:"
            f" {worst.labelled_share:.1%}, against {audit.labelled / audit.rows:.1%} of all."
        )
    small = [level.level for level in group.levels if level.is_small]
    if small:
        yield f"Too few rows to judge {group.group}: {', '.join(small)}."


def _of_time(audit: LabelAudit, drift: SplitDrift | None) -> Iterator[str]:
    rates = [one.base_rate for one in audit.periods if one.base_rate is not None]
    if len(rates) > 1:
        what, form = ("base rate", ".1%") if audit.is_share else ("mean of the label", ".4g")
        yield (
            f"The {what} moves between {min(rates):{form}} and {max(rates):{form}} from period to"
            " period: what holds in one need not hold in the next."
        )
    features = drift.features if drift else []
    drifting = [feature.column for feature in features if feature.reading == "different"]
    if drifting:
        yield f"Distributed otherwise in test than in train: {', '.join(drifting)}."


def _of_columns(columns: list[ColumnFacts], infinite: dict[str, int]) -> Iterator[str]:
    features = [column for column in columns if column.role == "feature"]
    empty = [column.name for column in features if column.missing_share == 1]
    if empty:
        yield f"Empty in every row: {', '.join(empty)}."
    sparse = [column.name for column in features if 0.2 < column.missing_share < 1]
    if sparse:
        yield f"Missing in more than a fifth of the rows: {', '.join(sparse)}."
    if infinite:
        rows = ", ".join(f"{name} in {count:,} rows" for name, count in infinite.items())
        yield f"Infinite, and left out of means, least and greatest values: {rows}."


def _of_trust(trusted: str) -> Iterator[str]:
    if trusted:
        yield (
            "When rows were known is taken on trust where nothing under a model says it:"
            f" {trusted}."
        )
