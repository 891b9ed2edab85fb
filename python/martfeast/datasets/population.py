"""The rows of a label mart that a dataset asks for, and what was known of their labels."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from martfeast.datasets.record import LabelAudit, Step
from martfeast.declaration.declared import ASKED_AT, LabelMart
from martfeast.engines.duckdb import parquet_rows, quoted, timestamp, utc, without_nan
from martfeast.feature_types import FLOAT32, FLOAT64
from martfeast.problems import refusal

NOT_YET_KNOWN = "not_yet_known"


@dataclass(frozen=True)
class Request:
    """What a dataset is to have. Moments are UTC; those without zone are taken as UTC.

    start, end: rows asked from start on and before end; None is no limit.
    as_of: labels known by then, rows asked by then; None is when the last label was known, or now
    if that is sooner.
    test_from: rows asked from then on are the test rows, and rows whose label was known before are
    the train rows; None is no split.
    keeps_unlabelled: whether rows without a label stay, with the reason.
    """

    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None
    test_from: datetime | None = None
    keeps_unlabelled: bool = False


@dataclass(frozen=True)
class Population:
    """The rows asked for; ``check`` makes the views asked, all of them, and kept, the dataset's.

    rows: SQL of the label mart. row_count: of it. first, last: its range of moments asked.
    now: when its last label was known, or the moment of this look if that is sooner.
    start, end, as_of, test_from, keeps_unlabelled: as in the request, none of them open but the
    split. All moments are UTC, without zone.
    """

    connection: duckdb.DuckDBPyConnection
    mart: LabelMart
    row_count: int
    first: datetime
    last: datetime
    now: datetime
    start: datetime
    end: datetime
    as_of: datetime
    test_from: datetime | None
    keeps_unlabelled: bool

    @staticmethod
    def of(
        connection: duckdb.DuckDBPyConnection, mart: LabelMart, request: Request
    ) -> "Population":
        """Look at a label mart.

        Raises:
            DeclarationError: it has no rows.

        """
        asked, known = quoted(mart.timestamp), quoted(mart.label.known_at)
        ((row_count, first, last, last_known),) = connection.execute(
            f"select count(*), min({asked}), max({asked}), max({known})"
            f" from {parquet_rows(mart.path)}"
        ).fetchall()
        if not row_count:
            raise refusal(mart.name, "no-rows", "It has no rows.", "Load data, run `dbt build`.")
        after_last = last.replace(microsecond=0) + timedelta(seconds=1)
        # An open end, such as 9999-12-31, is no moment at which anything is known yet.
        now = min(max(last_known or last, last), utc(datetime.now(UTC)))
        return Population(
            connection=connection,
            mart=mart,
            row_count=row_count,
            first=first,
            last=last,
            now=now,
            start=utc(request.start) if request.start else first,
            end=utc(request.end) if request.end else after_last,
            as_of=utc(request.as_of) if request.as_of else now,
            test_from=utc(request.test_from) if request.test_from else None,
            keeps_unlabelled=request.keeps_unlabelled,
        )

    @property
    def rows(self) -> str:
        """SQL of all rows of the label mart."""
        return parquet_rows(self.mart.path)

    @property
    def reason(self) -> str:
        """The column of the views that says why a row has no label."""
        return self.mart.label.reason_column

    @property
    def label(self) -> str:
        """SQL of the label in the label mart; NaN is no label."""
        column = self.mart.column(self.mart.label.column)
        is_double = column is not None and column.type in (FLOAT64, FLOAT32)
        return without_nan(quoted(self.mart.label.column), "DOUBLE" if is_double else "")

    @property
    def span(self) -> str:
        """The time range in words."""
        return f"from {iso(self.start)} until {iso(self.end)}"

    def check(self) -> None:
        """Make the views, and refuse what cannot be a dataset, before anything is written.

        Raises:
            DeclarationError: there are no rows, no labels, one label only, one level of a group
                only, or the split is outside.

        """
        label = quoted(self.mart.label.column)
        labelled = "" if self.keeps_unlabelled else f" where {label} is not null"
        self.connection.execute(f"create temp view asked as {self._asked()}")
        self.connection.execute(f"create temp view kept as from asked{labelled}")
        self._require_labels()
        self._require_levels()
        if self.test_from and not self.start < self.test_from < self.end:
            message = f"--test-from is {iso(self.test_from)}, not within the rows {self.span}."
            fix = "Choose a moment within them."
            raise refusal(self.mart.name, "split-outside", message, fix)

    def _require_labels(self) -> None:
        run, label = self.connection.execute, quoted(self.mart.label.column)
        ((rows, labels, values),) = run(
            f"select count(*), count({label}), count(distinct {label}) from asked"
        ).fetchall()
        column = f"{self.mart.name}.{self.mart.label.column}"
        if not rows:
            message = f"No row is asked {self.span}, and by {iso(self.as_of)}."
            advice = f"Its rows are from {iso(self.first)} to {iso(self.last)}."
            raise refusal(self.mart.name, "no-rows", message, advice)
        if not labels:
            ((known,),) = run(
                f"select min({quoted(self.mart.label.known_at)}) from {self.rows}"
                f" where {self.label} is not null and {quoted(self.mart.timestamp)}"
                f" between {timestamp(self.start)} and {timestamp(self.end)}"
            ).fetchall()
            raise refusal(
                column,
                "no-labels",
                f"No label of a row asked {self.span} was known by {iso(self.as_of)}.",
                f"The first of them was known at {iso(known)}: choose a later --as-of."
                if known
                else "No row of this time range has a label: choose another range.",
            )
        if values == 1:
            ((value,),) = run(f"select any_value({label}) from asked").fetchall()
            message = f"Every label {self.span} is {value}, so there is nothing to learn."
            raise refusal(column, "label-constant", message, "Choose a longer time range.")

    def _require_levels(self) -> None:
        for group in self.mart.label.groups:
            ((values, nulls),) = self.connection.execute(
                f"select count(distinct {quoted(group)}), count(*) - count({quoted(group)})"
                " from kept"
            ).fetchall()
            if values + (nulls > 0) < 2:
                held = "null" if nulls else "of one value"
                raise refusal(
                    f"{self.mart.name}.{group}",
                    "group-constant",
                    f"The group column is {held} in all rows {self.span}, so there are no groups.",
                    "Take it out of label.groups, or choose a longer time range.",
                )

    def _asked(self) -> str:
        """Return SQL of the label mart's rows in range, with what was known of their labels."""
        declared = self.mart.label
        label, known_at = quoted(declared.column), quoted(declared.known_at)
        value = self.label
        reason = quoted(declared.missing_reason) if declared.missing_reason else "null"
        asked, as_of = quoted(self.mart.timestamp), timestamp(self.as_of)
        # A reason without a moment is that of now; what it was before nobody knows.
        is_now = declared.missing_reason and self.as_of >= self.now
        reason_now = f" or ({known_at} is null and {reason} is not null)" if is_now else ""
        keys = self.mart.keys
        groups = [quoted(name) for name in declared.groups if name not in keys]
        columns = [
            *map(quoted, keys),
            f"timezone('UTC', {asked}) as {ASKED_AT}",
            f"case when {known_at} <= {as_of} then {value} end as {label}",
            f"case when {known_at} <= {as_of} then timezone('UTC', {known_at}) end as {known_at}",
            f"case when {known_at} <= {as_of}{reason_now} then {reason}"
            f" when {value} is null or {known_at} > {as_of} then '{NOT_YET_KNOWN}' end"
            f" as {quoted(self.reason)}",
            *groups,
        ]
        return (
            f"select {', '.join(columns)} from {self.rows} where {asked} >= {timestamp(self.start)}"
            f" and {asked} < {timestamp(self.end)} and {asked} <= {as_of}"
        )

    def steps(self, audit: LabelAudit) -> list[Step]:
        """Count rows at each step, and those left out by reason; audit is of the rows asked."""
        asked = quoted(self.mart.timestamp)
        ((in_range,),) = self.connection.execute(
            f"select count(*) from {self.rows} where {asked} >= {timestamp(self.start)}"
            f" and {asked} < {timestamp(self.end)}"
        ).fetchall()
        by_then = audit.rows
        reasons = {one.reason: one.rows for one in audit.reasons}
        steps: list[tuple[str, int, dict[str, int]]] = [
            (f"rows of {self.mart.name}", self.row_count, {}),
            (
                "asked in the time range",
                in_range,
                {"asked at other times": self.row_count - in_range},
            ),
            ("asked by the as-of moment", by_then, {"asked later": in_range - by_then}),
        ]
        if self.keeps_unlabelled:
            marked = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            steps.append(
                (f"kept, with or without a label (without: {marked or 'none'})", by_then, {})
            )
        else:
            steps.append(("with a label", audit.labelled, reasons))
        return [
            Step(step=step, rows=rows, left_out={why: n for why, n in out.items() if n})
            for step, rows, out in steps
        ]


def iso(moment: datetime) -> str:
    """Return a moment in UTC without zone as ISO 8601 text."""
    return f"{moment.isoformat()}Z"
