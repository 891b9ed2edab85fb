"""Builds training sets that one can trust: written once, measured, and built alike again.

A dataset has the rows of an exposure's label mart in a time range, the features of its feature
service as Feast joins them, and only those labels that were known by a moment.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as software_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from martfeast.datasets.audit import measure_columns, measure_groups, measure_label, measure_split
from martfeast.datasets.card.page import card_html, croissant
from martfeast.datasets.drift import LOOK, measure_drift
from martfeast.declaration.declared import ASKED_AT, SPLIT, Column, Declaration, Exposure, Mart
from martfeast.engines.duckdb import literal, parquet_rows, quoted, timestamp, utc
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.gate.assess import Assessment, assess
from martfeast.gate.judge import utc_now
from martfeast.problems import DeclarationError, did_you_mean, refusal

if TYPE_CHECKING:
    import pyarrow
    from feast import FeatureStore

    from martfeast.registry import FeatureRepo

FORMAT = 1
NOT_YET_KNOWN = "not_yet_known"
# What a dataset's record repeats of its inputs.
METADATA = (
    *("title", "description", "owner", "maturity", "url", "license", "personal_information"),
    "software",
)
DATA, RECORD, CARD, CROISSANT = "data.parquet", "dataset.json", "card.html", "croissant.json"
Json = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What a dataset is to have. Moments are UTC; those without zone are taken as UTC.

    start, end: rows asked from start on and before end; None is no limit.
    as_of: labels known by then, rows asked by then; None is when the last label was known.
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
class Dataset:
    """A dataset that is there. path: its folder. record: all that is known of it.

    is_new: whether it was built now.
    """

    path: Path
    record: Json
    is_new: bool


def build_dataset(
    dbt_project: str | os.PathLike[str],
    feature_repo: "FeatureRepo",
    exposure_name: str,
    request: Request,
    say: Say = lambda _: None,
) -> Dataset:
    """Build the training set of an exposure, unless the same is there already.

    It is written to ``<datasets>/<exposure>/<number>``: data.parquet, dataset.json (inputs, counts,
    measurements), card.html and croissant.json; and registered as Feast saved dataset
    ``<exposure>_<number>``. The same inputs give the same bytes of data.parquet.

    Args:
        dbt_project: the folder with dbt_project.yml.
        feature_repo: where the exposure's feature service is registered.
        exposure_name: an exposure of type ml with a label.
        request: which rows, and what was known of them.
        say: is told of progress, a line at a time.

    Raises:
        DeclarationError: the project is not ready, or what is asked for cannot be had; nothing has
            been written then.

    """
    from feast import FeatureStore

    from martfeast.registry import acquire_lock

    assessment = assess(dbt_project, registered=feature_repo.read_registered())
    if assessment.refusals:
        raise DeclarationError(assessment.refusals)
    exposure, mart = _find_exposure(assessment.declaration, exposure_name)
    store = FeatureStore(str(feature_repo.path), fs_yaml_file=feature_repo.yaml_file)
    registry = _registry_state(store, assessment.declaration, exposure)
    folder = datasets_path(assessment.artifacts) / exposure.name
    builder = _Builder(assessment, exposure, mart, store, registry, request, say)
    builder.check()
    try:
        lock = acquire_lock(folder / ".lock", waiting_for=f"{exposure.name} is being built")
        try:
            dataset = _find_or_build(folder, builder, _last_number(folder, store, exposure) + 1)
            _register(store, exposure, mart, dataset)
            return dataset
        finally:
            os.close(lock)
    except (OSError, duckdb.IOException) as error:
        raise refusal(
            str(folder),
            "not-writable",
            f"A dataset cannot be written there: {str(error).splitlines()[0].rstrip('.')}.",
            "Make room or set permissions, or set vars.martfeast.datasets_path.",
        ) from error


def _find_or_build(folder: Path, builder: "_Builder", number: int) -> Dataset:
    for left in folder.glob(".building-*"):  # of a build that was killed
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    there = find_datasets(folder)
    for path, record in there:
        if record["inputs"] == builder.inputs:
            verify(path, record)
            _describe(path, record)
            return Dataset(path, record, is_new=False)
    building = folder / f".building-{uuid.uuid4().hex}"
    building.mkdir()
    try:
        record = builder.build(building, number, there[-1] if there else None)
        path = folder / f"{number:04}"
        building.rename(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Dataset(path, record, is_new=True)


def _last_number(folder: Path, store: "FeatureStore", exposure: Exposure) -> int:
    """Return the highest number that a dataset has or had: none is used twice."""
    names = [path.name for path in folder.glob("[0-9]*")]
    for saved in store.registry.list_saved_datasets(store.project):
        name, _, number = saved.name.rpartition("_")
        names += [number] if name == exposure.name else []
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _describe(path: Path, record: Json) -> None:
    """Write card and Croissant metadata, which follow from the record, unless they are there."""
    for name, draw in ((CARD, card_html), (CROISSANT, _croissant_text)):
        if not (path / name).exists():
            (path / name).write_text(draw(record))
            (path / name).chmod(0o444)


def _croissant_text(record: Json) -> str:
    return _json(croissant(record))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def datasets_path(artifacts: Artifacts) -> Path:
    """Return the folder for datasets: variable ``datasets_path``, or beside what is published."""
    named = artifacts.settings.get("datasets_path") or artifacts.published_path.parent / "datasets"
    return (artifacts.project_dir / str(named)).resolve()


def find_datasets(folder: Path) -> list[tuple[Path, Json]]:
    """Return the datasets of an exposure, by number: each with its folder and its record.

    Raises:
        DeclarationError: a record is damaged.

    """
    found = [
        (path.parent, read_record(path))
        for path in folder.glob(f"[0-9]*/{RECORD}")
        if path.parent.name.isdecimal()
    ]
    return sorted(found, key=lambda pair: int(pair[1]["number"]))


def read_record(path: Path) -> Json:
    """Return a dataset's record from its dataset.json.

    Raises:
        DeclarationError: it is damaged.

    """
    try:
        record = json.loads(path.read_bytes())
        missing = {"number", "inputs", "file", "columns", "changes", "saved_dataset"} - set(record)
        if record["format"] == FORMAT and not missing:
            return dict(record)
        reason = f"it has format {record['format']}, and lacks {', '.join(sorted(missing)) or '-'}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise refusal(
        str(path),
        "dataset-damaged",
        f"This record of a dataset cannot be read: {reason}.",
        f"Remove {path.parent}; what is asked for again is built anew, with the same bytes.",
    )


class _Builder:
    """Builds one dataset. inputs: all that its rows follow from, for JSON."""

    def __init__(
        self,
        assessment: Assessment,
        exposure: Exposure,
        mart: Mart,
        store: "FeatureStore",
        registry: Json,
        request: Request,
        say: Say,
    ) -> None:
        from martfeast.offline_store.source import connect

        assert mart.label is not None
        self.artifacts, self.declaration = assessment.artifacts, assessment.declaration
        self.exposure, self.mart, self.label = exposure, mart, mart.label
        self.reason = mart.label.reason_column
        self.store, self.request, self.say = store, request, say
        # Our own store keeps the order of rows and writes more than fits into memory.
        self.is_streamed = "martfeast.offline_store" in str(store.config.offline_store.type)
        self.connection = connect(store.config) if self.is_streamed else duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'")
        self.rows = parquet_rows(mart.path)
        asked, known = quoted(mart.timestamp), quoted(self.label.known_at)
        ((self.row_count, first, last, last_known),) = self.connection.execute(
            f"select count(*), min({asked}), max({asked}), max({known}) from {self.rows}"
        ).fetchall()
        if not self.row_count:
            raise refusal(mart.name, "no-rows", "It has no rows.", "Load data, run `dbt build`.")
        self.first, self.last = first, last
        self.start = utc(request.start) if request.start else first
        after_last = last.replace(microsecond=0) + timedelta(seconds=1)
        self.end = utc(request.end) if request.end else after_last
        self.now = max(last_known or last, last)
        self.as_of = utc(request.as_of) if request.as_of else self.now
        self.test_from = utc(request.test_from) if request.test_from else None
        marts = [mart, *(self.declaration.marts[name] for name in exposure.features_by_mart)]
        self.paths = {one.name: _path(self.artifacts, one) for one in marts}
        self.inputs: Json = {
            "exposure": exposure.name,
            "label": f"{mart.name}.{self.label.column}",
            "from": _iso(self.start),
            "until": _iso(self.end),
            "as_of": _iso(self.as_of),
            "test_from": _iso(self.test_from) if self.test_from else None,
            "unlabelled": "keep" if request.keeps_unlabelled else "leave-out",
            "groups": self.label.groups,
            "features": exposure.features_by_mart,
            "marts": [_mart_state(one) for one in marts],
            "registry": registry,
            "offline_store": str(store.config.offline_store.type),
            "software": {name: software_version(name) for name in ("martfeast", "feast", "duckdb")},
            "title": _title(self.artifacts, exposure),
            "description": exposure.description,
            "owner": exposure.owner,
            "maturity": exposure.maturity,
            "url": exposure.url,
            "license": exposure.license,
            "personal_information": exposure.personal_information,
        }

    def check(self) -> None:
        """Refuse what cannot be a dataset, before anything is written."""
        run = self.connection.execute
        run(f"create temp view asked as {self._asked()}")
        label = quoted(self.label.column)
        labelled = "" if self.request.keeps_unlabelled else f" where {label} is not null"
        run(f"create temp view kept as from asked{labelled}")
        span = f"from {_iso(self.start)} until {_iso(self.end)}"
        ((rows, labels, values),) = run(
            f"select count(*), count({label}), count(distinct {label}) from asked"
        ).fetchall()
        name, column = self.mart.name, f"{self.mart.name}.{self.label.column}"
        if not rows:
            message = f"No row is asked {span}, and by {_iso(self.as_of)}."
            advice = f"Its rows are from {_iso(self.first)} to {_iso(self.last)}."
            raise refusal(name, "no-rows", message, advice)
        if not labels:
            ((known,),) = run(
                f"select min({quoted(self.label.known_at)}) from {self.rows}"
                f" where {label} is not null and {quoted(self.mart.timestamp)}"
                f" between {timestamp(self.start)} and {timestamp(self.end)}"
            ).fetchall()
            raise refusal(
                column,
                "no-labels",
                f"No label of a row asked {span} was known by {_iso(self.as_of)}.",
                f"The first of them was known at {_iso(known)}: choose a later --as-of."
                if known
                else "No row of this time range has a label: choose another range.",
            )
        if values == 1:
            ((value,),) = run(f"select any_value({label}) from asked").fetchall()
            message = f"Every label {span} is {value}, so there is nothing to learn."
            raise refusal(column, "label-constant", message, "Choose a longer time range.")
        for group in self.label.groups:
            ((values, nulls),) = run(
                f"select count(distinct {quoted(group)}), count(*) - count({quoted(group)})"
                " from kept"
            ).fetchall()
            if values + (nulls > 0) < 2:
                held = "null" if nulls else "of one value"
                raise refusal(
                    f"{name}.{group}",
                    "group-constant",
                    f"The group column is {held} in all rows {span}, so there are no groups.",
                    "Take it out of label.groups, or choose a longer time range.",
                )
        if self.test_from and not self.start < self.test_from < self.end:
            message = f"--test-from is {_iso(self.test_from)}, not within the rows {span}."
            raise refusal(name, "split-outside", message, "Choose a moment within them.")

    def build(self, folder: Path, number: int, before: tuple[Path, Json] | None) -> Json:
        """Write a dataset to a folder and return its record."""
        spine, data = folder / "spine.parquet", folder / DATA
        self.say(f"rows       of {self.mart.name}")
        audit = measure_label(self.connection, self.mart, "asked")
        steps = self._steps(audit)
        columns = "*" if self.request.keeps_unlabelled else f"* exclude ({quoted(self.reason)})"
        if self.test_from:
            at = f"timezone('UTC', {timestamp(self.test_from)})"
            columns += (
                f", case when {ASKED_AT} >= {at} then 'test'"
                f" when {quoted(self.label.column)} is not null"
                f" and {quoted(self.label.known_at)} < {at} then 'train'"
                f" else 'between' end as {SPLIT}"
            )
        order = ", ".join([ASKED_AT, *map(quoted, self.mart.entity_columns)])
        self.connection.execute(
            f"copy (select {columns} from kept order by {order})"
            f" to {literal(str(spine))} (format parquet)"
        )
        rows = steps[-1]["rows"]
        count = len(self.exposure.features)
        self.say(f"features   {count} of {rows:,} rows, through Feast")
        self._join(spine, data)
        spine.unlink()
        self._check_joined(data, rows)
        dataset = parquet_rows(data)
        self.say("measuring  label, groups and columns")
        described = self.connection.execute(f"describe from {dataset}").fetchall()
        types = {name: type_.removesuffix(" WITH TIME ZONE") for name, type_, *_ in described}
        measured = measure_columns(self.connection, dataset, types)
        record: Json = {
            "format": FORMAT,
            "name": self.exposure.name,
            "number": number,
            "saved_dataset": f"{self.exposure.name}_{number:04}",
            **{name: self.inputs[name] for name in METADATA},
            "created_at": _iso(utc(utc_now()).replace(microsecond=0)),
            "label": {
                "mart": self.mart.name,
                "column": self.label.column,
                "description": self._column(self.mart, self.label.column).description,
                "type": self._column(self.mart, self.label.column).data_type,
                "known_at": self.label.known_at,
                "asked_at": ASKED_AT,
                "missing_reason": self.reason if self.request.keeps_unlabelled else None,
            },
            "inputs": self.inputs,
            "file": {
                "name": DATA,
                "sha256": _sha256(data),
                "bytes": data.stat().st_size,
                "rows": rows,
            },
            "steps": steps,
            "columns": [
                {**self._origin(name), **measured[name], "type": type_.lower()}
                for name, type_ in types.items()
            ],
            "label_audit": audit,
            "groups": measure_groups(self.connection, self.mart, "asked", "kept"),
            "drift": self._measure_split(dataset),
        }
        record["limits"] = _limits(record)
        record["changes"] = self._changes(before, record, data) if before else []
        self.say("writing    record, card and Croissant metadata")
        (folder / RECORD).write_text(_json(record))
        _describe(folder, record)
        for file in (data, folder / RECORD):
            file.chmod(0o444)
        return record

    def _asked(self) -> str:
        """Return SQL of the label mart's rows in range, with what was known of their labels."""
        label, known_at = quoted(self.label.column), quoted(self.label.known_at)
        reason = quoted(self.label.missing_reason) if self.label.missing_reason else "null"
        asked, as_of = quoted(self.mart.timestamp), timestamp(self.as_of)
        # A reason without a moment is that of now; what it was before nobody knows.
        is_now = self.label.missing_reason and self.as_of >= self.now
        reason_now = f" or ({known_at} is null and {reason} is not null)" if is_now else ""
        keys = self.mart.entity_columns
        groups = [quoted(name) for name in self.label.groups if name not in keys]
        columns = [
            *map(quoted, keys),
            f"timezone('UTC', {asked}) as {ASKED_AT}",
            f"case when {known_at} <= {as_of} then {label} end as {label}",
            f"case when {known_at} <= {as_of} then timezone('UTC', {known_at}) end as {known_at}",
            f"case when {known_at} <= {as_of}{reason_now} then {reason}"
            f" when {label} is null or {known_at} > {as_of} then '{NOT_YET_KNOWN}' end"
            f" as {quoted(self.reason)}",
            *groups,
        ]
        return (
            f"select {', '.join(columns)} from {self.rows} where {asked} >= {timestamp(self.start)}"
            f" and {asked} < {timestamp(self.end)} and {asked} <= {as_of}"
        )

    def _steps(self, audit: Json) -> list[Json]:
        """Count rows at each step, and those left out by reason; audit is of the rows asked."""
        asked = quoted(self.mart.timestamp)
        ((in_range,),) = self.connection.execute(
            f"select count(*) from {self.rows} where {asked} >= {timestamp(self.start)}"
            f" and {asked} < {timestamp(self.end)}"
        ).fetchall()
        by_then = audit["rows"]
        reasons = {one["reason"]: one["rows"] for one in audit["reasons"]}
        steps: list[tuple[str, int, dict[str, int]]] = [
            (f"rows of {self.mart.name}", self.row_count, {}),
            (
                "asked in the time range",
                in_range,
                {"asked at other times": self.row_count - in_range},
            ),
            ("asked by the as-of moment", by_then, {"asked later": in_range - by_then}),
        ]
        if self.request.keeps_unlabelled:
            marked = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            steps.append(
                (f"kept, with or without a label (without: {marked or 'none'})", by_then, {})
            )
        else:
            steps.append(("with a label", audit["labelled"], reasons))
        return [
            {"step": step, "rows": rows, "left_out": {why: n for why, n in out.items() if n}}
            for step, rows, out in steps
        ]

    def _join(self, spine: Path, data: Path) -> None:
        """Join the features through Feast, and write all columns in the spine's order."""
        from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

        from martfeast.engines.duckdb import copy_to_parquet
        from martfeast.offline_store.jobs import AsofRetrievalJob, to_pandas

        service = self.store.get_feature_service(self.exposure.name)
        if self.is_streamed:
            job = self.store.get_historical_features(entity_df=str(spine), features=service)
            assert isinstance(job, AsofRetrievalJob)
            job.persist(SavedDatasetFileStorage(path=str(data)))
            return
        frame = to_pandas(self.connection.sql(f"from {parquet_rows(spine)}").to_arrow_table())
        joined: pyarrow.Table = self.store.get_historical_features(
            entity_df=frame, features=service
        ).to_arrow()
        self.connection.register("joined", joined)
        keys = [*self.mart.entity_columns, ASKED_AT]
        columns = self.connection.execute(f"describe from {parquet_rows(spine)}").fetchall()
        names = [f"spine.{quoted(row[0])}" for row in columns]
        names += [f"joined.{quoted(name)}" for name in self.exposure.features]
        on = " and ".join(
            f"spine.{quoted(name)} is not distinct from joined.{quoted(name)}" for name in keys
        )
        copy_to_parquet(
            self.connection,
            f"select {', '.join(names)} from {parquet_rows(spine)} as spine join joined on {on}"
            f" order by {', '.join(f'spine.{quoted(name)}' for name in (ASKED_AT, *keys[:-1]))}",
            data,
        )
        self.connection.unregister("joined")

    def _check_joined(self, data: Path, rows: int) -> None:
        ((joined,),) = self.connection.execute(
            f"select count(*) from {parquet_rows(data)}"
        ).fetchall()
        if joined != rows:
            raise refusal(
                self.exposure.name,
                "rows-differ",
                f"Feast returned {joined:,} rows for {rows:,}.",
                "Use martfeast.offline_store, or another store that returns each row once.",
            )

    def _measure_split(self, dataset: str) -> Json | None:
        if not self.test_from:
            return None
        self.say(f"measuring  drift of {len(self.exposure.features)} features, train to test")
        return measure_split(self.connection, dataset, self.exposure)

    def _column(self, mart: Mart, name: str) -> Column:
        return next(column for column in mart.columns if column.name == name)

    def _origin(self, name: str) -> Json:
        """Return what a column of the dataset is, and where it comes from."""
        if name == SPLIT:
            return {
                "name": name,
                "role": "split",
                "description": "test: asked from the test moment on. train: label known before it."
                " between: asked before it, and without a label that was known before it.",
                "mart": None,
                "entity": None,
                "path": {"sources": [], "models": []},
            }
        views = self.exposure.features_by_mart.items()
        mart = next((self.declaration.marts[view] for view, names in views if name in names), None)
        role = "feature" if mart else "group"
        mart = mart or self.mart
        found = [column for column in mart.columns if column.name == name]
        if name == ASKED_AT:
            role, found = "asked at", [self._column(mart, mart.timestamp)]
        elif found and found[0].entity:
            role = "entity"
        elif name == self.label.column:
            role = "label"
        elif name == self.label.known_at:
            role = "label known at"
        elif name == self.reason:
            role = "reason for no label"
        return {
            "name": name,
            "role": role,
            "description": found[0].description if found else "Why there is no label.",
            "mart": mart.name,
            "entity": found[0].entity if found else None,
            "path": self.paths[mart.name],
        }

    def _changes(self, before: tuple[Path, Json], record: Json, data: Path) -> list[str]:
        """Return what changed since the version before, as sentences."""
        path, old = before
        self.say(f"comparing  with version {old['number']}")
        found = [
            f"{key}: {_shown(old['inputs'].get(key))} is now {_shown(value)}"
            for key, value in self.inputs.items()
            if key not in ("marts", "registry", "features") and old["inputs"].get(key) != value
        ]
        if self.inputs["registry"] != old["inputs"]["registry"]:
            found.append("what Feast's registry holds of it has changed")
        old_marts = {one["mart"]: one for one in old["inputs"]["marts"]}
        for one in self.inputs["marts"]:
            was = old_marts.get(one["mart"])
            if was and was["version"] != one["version"]:
                found.append(
                    f"{one['mart']}: version {was['version']} ({was['rows']:,} rows) is now"
                    f" {one['version']} ({one['rows']:,} rows)"
                )
            if was and was["code_checksum"] != one["code_checksum"]:
                found.append(f"{one['mart']}: the code or a seed under it has changed")
        types = {column["name"]: column["type"] for column in record["columns"]}
        old_types = {column["name"]: column["type"] for column in old["columns"]}
        found += [f"column {name} is new" for name in types if name not in old_types]
        found += [f"column {name} is gone" for name in old_types if name not in types]
        found += [
            f"column {name} was {old_types[name]} and is {types[name]}"
            for name in types
            if old_types.get(name, types[name]) != types[name]
        ]
        old_data = path / DATA
        keys = [name for name in (*self.mart.entity_columns, ASKED_AT) if name in old_types]
        if not old_data.exists():
            return [*found, f"version {old['number']} has no {DATA} to compare rows with"]
        features = [
            name
            for name in (self.label.column, self.label.known_at, *self.exposure.features)
            if old_types.get(name) == types[name]
        ]
        on = " and ".join(
            f"a.{quoted(name)} is not distinct from b.{quoted(name)}" for name in keys
        )
        counts = [
            f"count(*) filter (a.{quoted(name)} is distinct from b.{quoted(name)}"
            " and a.is_there and b.is_there)"
            for name in features
        ]
        new, gone, *changed = self.connection.execute(
            f"select count(*) filter (b.is_there is null), count(*) filter (a.is_there is null),"
            f" {', '.join(counts)} from (select *, true as is_there from {parquet_rows(data)}) as a"
            f" full join (select *, true as is_there from {parquet_rows(old_data)}) as b on {on}"
        ).fetchall()[0]
        found += [f"{n:,} rows are {word}" for n, word in ((new, "new"), (gone, "gone")) if n]
        found += [
            f"{name} has changed in {n:,} rows"
            for name, n in zip(features, changed, strict=True)
            if n
        ]
        drifts = measure_drift(
            self.connection, parquet_rows(old_data), parquet_rows(data), features
        )
        found += [
            f"{drift.column} is distributed otherwise: index {drift.psi:.2f} ({drift.verdict})"
            for drift in sorted(drifts, key=lambda drift: -drift.psi)
            if drift.psi >= LOOK
        ]
        if list(old_types) != list(types) and set(old_types) == set(types):
            found.append("the order of the columns")
        return found


def _find_exposure(declaration: Declaration, name: str) -> tuple[Exposure, Mart]:
    exposure = declaration.exposures.get(name)
    if exposure is None:
        known = list(declaration.exposures)
        advice = did_you_mean(name, known, f"Exposures are: {', '.join(known) or 'none'}.")
        raise refusal(name, "exposure-unknown", "There is no such exposure of type ml.", advice)
    if exposure.label is None:
        raise refusal(
            name,
            "label-missing",
            "It names no label, so there is nothing to learn.",
            "Add label: {mart: <label mart>} under its meta.feast.",
            exposure.place.file,
        )
    return exposure, exposure.label


def _registry_state(store: "FeatureStore", declaration: Declaration, exposure: Exposure) -> Json:
    """Return what the registry holds of the feature service; refuse if it is not what dbt has."""
    from feast.errors import FeastObjectNotFoundException

    fix = "Run `feast apply`, so that labels and features are of one build."
    try:
        service = store.get_feature_service(exposure.name)
        views = [store.get_feature_view(name) for name in exposure.features_by_mart]
    except FeastObjectNotFoundException as error:
        raise refusal(exposure.name, "not-applied", f"{error}.", fix) from None
    for view in views:
        mart = declaration.marts[view.name]
        read = Path(str(getattr(view.batch_source, "path", "")))
        if read != mart.path:
            message = f"Feast reads {read.name or 'no file'}, not {mart.path.name}."
            raise refusal(mart.name, "not-applied", message, fix)
    registered = [
        f"{p.name}:{f.name}" for p in service.feature_view_projections for f in p.features
    ]
    declared = [f"{m}:{name}" for m, names in exposure.features_by_mart.items() for name in names]
    if sorted(registered) != sorted(declared):
        message = "Feast has other features of it than dbt."
        raise refusal(exposure.name, "not-applied", message, fix)
    specs: list[Any] = [service.to_proto().spec, *(view.to_proto().spec for view in views)]
    texts = [spec.SerializeToString(deterministic=True).hex() for spec in specs]
    return {
        "project": store.project,
        "feature_service": service.name,
        "checksum": _checksum(texts),
    }


def _register(store: "FeatureStore", exposure: Exposure, mart: Mart, dataset: Dataset) -> None:
    """Register a dataset as a Feast saved dataset, unless it is."""
    from feast.errors import SavedDatasetNotFound
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
    from feast.saved_dataset import SavedDataset

    record, storage = dataset.record, SavedDatasetFileStorage(path=str(dataset.path / DATA))
    name = record["saved_dataset"]
    try:
        if store.registry.get_saved_dataset(name, store.project).storage == storage:
            return
    except SavedDatasetNotFound:
        pass
    keys = [*mart.entity_columns, ASKED_AT]
    columns = {column["name"]: column for column in record["columns"]}
    saved = SavedDataset(
        name=name,
        # Feast returns these columns, so those of the label mart are among them.
        features=[f"{c['mart'] or mart.name}:{n}" for n, c in columns.items() if n not in keys],
        join_keys=mart.entity_columns,
        storage=storage,
        feature_service_name=exposure.name,
        tags={
            "dbt_unique_id": exposure.unique_id,
            "sha256": record["file"]["sha256"],
            # `martfeast prune` keeps the versions that are named here.
            **{
                f"mart_{one['mart']}": f"{one['model']}/{one['version']}"
                for one in record["inputs"]["marts"]
            },
        },
    )
    asked = columns[ASKED_AT]
    saved.min_event_timestamp, saved.max_event_timestamp = (
        datetime.fromisoformat(asked[end]).astimezone(UTC) for end in ("minimum", "maximum")
    )
    store.registry.apply_saved_dataset(saved, store.project, commit=True)


def verify(path: Path, record: Json) -> None:
    """Insist that a dataset's file is the one that was written.

    Raises:
        DeclarationError: it is not.

    """
    data = path / DATA
    if not data.exists() or _sha256(data) != record["file"]["sha256"]:
        raise refusal(
            str(path),
            "dataset-damaged",
            f"{data} is not the file that was written.",
            f"Remove {path}; what is asked for again is built anew, with the same bytes.",
        )


def _limits(record: Json) -> list[str]:
    """Return what a user of a dataset should know before trusting it, from what was measured."""
    audit, found = record["label_audit"], []
    missing = audit["rows"] - audit["labelled"]
    if missing:
        reasons = ", ".join(f"{one['rows']:,} {one['reason']}" for one in audit["reasons"])
        found.append(
            f"{missing:,} of {audit['rows']:,} rows ({missing / audit['rows']:.1%}) have no label"
            f" ({reasons}). What is learned from labels says nothing of them."
        )
    for group in record["groups"]:
        worst = min(group["levels"], key=lambda level: level["labelled_share"])
        if worst["labelled_share"] < audit["labelled"] / audit["rows"] - 0.02:
            found.append(
                f"Rows of {group['group']} {worst['level']} are labelled least:"
                f" {worst['labelled_share']:.1%}, against {audit['labelled'] / audit['rows']:.1%}"
                " of all."
            )
        small = [level["level"] for level in group["levels"] if level["is_small"]]
        if small:
            found.append(f"Too few rows to judge {group['group']}: {', '.join(small)}.")
    rates = [one["base_rate"] for one in audit["periods"] if one["base_rate"] is not None]
    if len(rates) > 1:
        what, form = ("base rate", ".1%") if audit["is_share"] else ("mean of the label", ".4g")
        found.append(
            f"The {what} moves between {min(rates):{form}} and {max(rates):{form}} from period to"
            " period: what holds in one need not hold in the next."
        )
    drifting = [
        feature["column"]
        for feature in (record["drift"] or {"features": []})["features"]
        if feature["verdict"] == "different"
    ]
    if drifting:
        found.append(f"Distributed otherwise in test than in train: {', '.join(drifting)}.")
    features = [column for column in record["columns"] if column["role"] == "feature"]
    empty = [column["name"] for column in features if column["missing_share"] == 1]
    if empty:
        found.append(f"Empty in every row: {', '.join(empty)}.")
    sparse = [column["name"] for column in features if 0.2 < column["missing_share"] < 1]
    if sparse:
        found.append(f"Missing in more than a fifth of the rows: {', '.join(sparse)}.")
    return found


def _path(artifacts: Artifacts, mart: Mart) -> Json:
    """Return the sources and the models under a mart, each after what it is built on."""
    found, manifest = artifacts.upstream(mart.unique_id), artifacts.manifest
    sources = [manifest["sources"][name] for name in found if name in manifest["sources"]]
    return {
        "sources": [f"{source['source_name']}.{source['name']}" for source in sources],
        "models": [manifest["nodes"][n]["alias"] for n in found if n in manifest["nodes"]],
    }


def _mart_state(mart: Mart) -> Json:
    assert mart.version is not None
    return {
        "mart": mart.name,
        "model": mart.path.parent.name,
        "version": mart.version.name,
        "content_hash": mart.version.content_hash,
        "code_checksum": _checksum(mart.version.lineage),
        "rows": mart.version.row_count,
        "is_label_mart": mart.label is not None,
    }


def _title(artifacts: Artifacts, exposure: Exposure) -> str:
    node = artifacts.manifest["exposures"][exposure.unique_id]
    return node.get("label") or exposure.name.replace("_", " ").capitalize()


def _checksum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _iso(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
