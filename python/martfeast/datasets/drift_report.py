"""Compares datasets with one another, and with what is being served."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from martfeast.causes import cause_of
from martfeast.datasets.drift import Drift, measure_drift
from martfeast.datasets.folder import (
    DATA,
    RECORD,
    find_datasets,
    read_record,
    verify,
)
from martfeast.datasets.record import DatasetRecord
from martfeast.declaration.declared import DIFFERENT, Exposure
from martfeast.declaration.project import Project, read_project
from martfeast.engines.duckdb import connect_in_utc, parquet_rows, quoted
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.problems import did_you_mean, refusal

if TYPE_CHECKING:
    import pyarrow
    from feast import FeatureStore

    from martfeast.to_feast.repository import FeatureRepo

SERVED = "served"
# So many of the latest rows are asked of the online store.
SERVED_ROWS = 5_000


@dataclass(frozen=True)
class DriftReport:
    """How far columns moved from one set of rows to another.

    before, after: what was compared, as words. rows: of each. drifts: by column.
    thresholds: by column, the index above which it has drifted. left_out: why columns were not
    compared.
    """

    before: str
    after: str
    rows: tuple[int, int]
    drifts: list[Drift]
    thresholds: dict[str, float]
    left_out: list[str]

    @property
    def drifted(self) -> list[Drift]:
        """The columns beyond their threshold, the furthest first."""
        beyond = [drift for drift in self.drifts if drift.psi > self.thresholds[drift.column]]
        return sorted(beyond, key=lambda drift: -drift.psi)

    def report(self) -> str:
        """Return what was found, as text."""
        width = max(len(drift.column) for drift in self.drifts)
        lines = [
            f"before: {self.before}, {self.rows[0]:,} rows",
            f"after:  {self.after}, {self.rows[1]:,} rows",
            "",
            f"{'column':<{width}}  {'index':>6}  {'threshold':>9}  {'mean moved':>10}  missing",
        ]
        for drift in sorted(self.drifts, key=lambda drift: -drift.psi):
            moved = drift.standardized_difference
            before, after = drift.missing_shares
            sign = "  DRIFT" if drift in self.drifted else ""
            lines.append(
                f"{drift.column:<{width}}  {drift.psi:>6.3f}  {self.thresholds[drift.column]:>9.3g}"
                f"  {'' if moved is None else f'{moved:+.2f} sd':>10}"
                f"  {before:.1%} -> {after:.1%}{sign}"
            )
        lines += ["", *self.left_out] if self.left_out else []
        names = ", ".join(drift.column for drift in self.drifted)
        lines += ["", f"drifted: {names}" if names else f"no drift in {len(self.drifts)} columns"]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return what was found, for ``json.dumps``."""
        return {
            "before": self.before,
            "after": self.after,
            "rows": list(self.rows),
            "has_drifted": bool(self.drifted),
            "columns": [
                {
                    "column": drift.column,
                    "psi": drift.psi,
                    "threshold": self.thresholds[drift.column],
                    "standardized_difference": drift.standardized_difference,
                    "missing_shares": list(drift.missing_shares),
                    "has_drifted": drift in self.drifted,
                }
                for drift in self.drifts
            ],
            "left_out": self.left_out,
        }


def compare_datasets(
    dbt_project: ProjectLike,
    feature_repo: "FeatureRepo | None",
    before: str,
    after: str,
    thresholds: Mapping[str, float],
) -> DriftReport:
    """Measure how far features and label moved from one dataset to another.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        feature_repo: whose online store is asked, if after is ``served``.
        before: a dataset: ``<exposure>`` for the newest, ``<exposure>/<number>``, or a path.
        after: another, or ``served``: what the online store gives for the newest rows of the
            exposure's label mart.
        thresholds: of the index, by column, over those that the exposure declares; that of all
            other columns by the empty name.

    Raises:
        DeclarationError: there is no such dataset, or nothing to compare.

    """
    project = read_project(dbt_project)
    folder = project.artifacts.datasets_path
    path, record = _find(folder, before)
    exposure = project.declaration.exposures.get(record.name) if record else None
    connection = connect_in_utc()
    left_out: list[str] = []
    rows_before = parquet_rows(path)
    if after == SERVED:
        if exposure is None or feature_repo is None:
            message = f"{before} is of no exposure here, so nobody knows what is served for it."
            raise refusal(before, "exposure-unknown", message, "Name a dataset by its exposure.")
        rows_after = _served(connection, project, feature_repo, exposure, left_out)
        mart = exposure.label_mart
        words = f"served now for the newest rows of {mart.name if mart else ''}"
    else:
        other, _ = _find(folder, after)
        rows_after, words = parquet_rows(other), str(other)
    if record is None:
        names = _columns(connection, before, rows_before)
    else:
        names = [c.name for c in record.columns if c.role in ("label", "feature")]
    there = set(_columns(connection, after, rows_after))
    left_out += [f"only before: {name}" for name in names if name not in there]
    shared = [name for name in names if name in there]
    if not shared:
        message = f"{before} and {after} have no column in common."
        raise refusal(before, "nothing-to-compare", message, "Name two datasets of one exposure.")
    return DriftReport(
        before=str(path),
        after=words,
        rows=(_count(connection, before, rows_before), _count(connection, after, rows_after)),
        drifts=measure_drift(connection, rows_before, rows_after, shared),
        thresholds=_thresholds(exposure, thresholds, shared),
        left_out=left_out,
    )


def _count(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> int:
    """Return the number of rows, of which there must be some."""
    count: int = connection.execute(f"select count(*) from {rows}").fetchall()[0][0]
    if not count:
        raise refusal(name, "no-rows", "It has no rows.", "Materialize, or name another.")
    return count


def _thresholds(
    exposure: Exposure | None, given: Mapping[str, float], names: list[str]
) -> dict[str, float]:
    """Return the threshold of each column: given, declared, or the usual one."""
    declared: dict[str, float] = {"": DIFFERENT}
    if exposure is not None:
        declared = {"": exposure.drift_threshold, **exposure.drift_thresholds}
    limits = {**declared, **given}
    for name in given:
        if name and name not in names:
            advice = did_you_mean(name, names, f"Columns are: {', '.join(names)}.")
            raise refusal(name, "column-unknown", "It is not compared.", advice)
    return {name: limits.get(name, limits[""]) for name in names}


def _find(folder: Path, name: str) -> tuple[Path, DatasetRecord | None]:
    """Return a dataset's Parquet file and its record; None if it has none."""
    exposure, _, number = name.partition("/")
    found = find_datasets(folder / exposure) if exposure else []
    wanted = [pair for pair in found if not number or str(pair[1].number) == number.lstrip("0")]
    path = Path(name)
    if not wanted and path.is_dir() and (path / RECORD).exists():
        wanted = [(path, read_record(path / RECORD))]
    if wanted:
        path, record = wanted[-1]
        verify(path, record)
        return path / DATA, record
    if path.is_file() and path.suffix == ".parquet":
        return path, None
    known = [f"{exposure}/{record.number}" for _, record in found] or sorted(
        one.name for one in folder.glob("*") if one.is_dir()
    )
    advice = did_you_mean(name, known, f"There are: {', '.join(known) or 'none'}.")
    raise refusal(
        name,
        "dataset-unknown",
        "There is no such dataset.",
        f"{advice} `martfeast dataset <exposure>` builds one.",
    )


def _columns(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> list[str]:
    try:
        return [row[0] for row in connection.execute(f"describe from {rows}").fetchall()]
    except duckdb.Error as error:
        message = f"It cannot be read: {str(error).splitlines()[0].rstrip('.')}."
        cause = cause_of(error)
        raise refusal(name, "dataset-unreadable", message, "Name another.", cause=cause) from error


def _served(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    feature_repo: "FeatureRepo",
    exposure: Exposure,
    left_out: list[str],
) -> str:
    """Ask the online store for the newest rows of the label mart; return SQL of the answers."""
    store = feature_repo.store()
    mart = exposure.label_mart
    if mart is None:
        message = "It names no label mart, so nobody knows which keys are asked for."
        raise refusal(exposure.name, "label-missing", message, "Add label under its meta.feast.")
    damage = mart.version.file.damage if mart.version else "is not published"
    if damage:
        what = mart.path if mart.version else "It"
        fix = "Run `martfeast status`, which says what to do."
        raise refusal(mart.name, "not-published", f"{what} {damage}.", fix)
    online = {view.name for view in store.list_feature_views() if view.online}
    left_out += [f"not served online: {v}" for v in exposure.features_by_mart if v not in online]
    views = [project.declaration.feature_marts[v] for v in exposure.features_by_mart if v in online]
    # Feast is asked for what some view is looked up by, and cannot be for a key that is null.
    names = list(dict.fromkeys(name for view in views for name in view.entity_columns))
    if not names:
        message = "None of its features is served online."
        fix = "Set online: true on a mart, run `feast apply` and `feast materialize`."
        raise refusal(exposure.name, "nothing-served", message, fix)
    keys = ", ".join(map(quoted, names))
    whole = " and ".join(f"{quoted(name)} is not null" for name in names)
    frame = connection.execute(
        f"select {keys} from {parquet_rows(mart.path)} where {whole}"
        f" order by {quoted(mart.timestamp)} desc, {keys} limit {SERVED_ROWS}"
    ).df()
    rows = {name: frame[name].tolist() for name in names}
    refs = [ref for ref in exposure.references if ref.split(":")[0] in online]
    served = _ask(store, exposure, refs, rows).drop_columns(names)
    nulls = {
        name
        for name, column in zip(served.column_names, served.columns, strict=True)
        if column.null_count == len(column)
    }
    for view, names in exposure.features_by_mart.items():
        if view in online and nulls.issuperset(names):
            left_out.append(f"nothing is served of {view}: run `feast materialize`")
    if len(nulls) == served.num_columns:
        message = f"The online store has nothing for the newest rows of {mart.name}."
        raise refusal(exposure.name, "nothing-served", message, "Run `feast materialize` first.")
    connection.register("served", served)
    return "served"


def _ask(
    store: "FeatureStore", exposure: Exposure, refs: list[str], rows: dict[str, list[Any]]
) -> "pyarrow.Table":
    try:
        return store.get_online_features(features=refs, entity_rows=rows).to_arrow()
    except Exception as error:  # whatever an online store raises, if it was never made
        message = f"The online store cannot be asked: {type(error).__name__}: {error}."
        fix = "Run `feast apply` and `feast materialize` first."
        cause = cause_of(error)
        raise refusal(exposure.name, "nothing-served", message, fix, cause=cause) from error
