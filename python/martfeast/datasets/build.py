"""Builds training sets that one can trust: written once, measured, and built alike again.

A dataset has the rows of an exposure's label mart in a time range, the features of its feature
service as Feast joins them, and only those labels that were known by a moment.
"""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from martfeast.causes import cause_of
from martfeast.datasets.folder import find_datasets, verify
from martfeast.datasets.population import Population, Request
from martfeast.datasets.record import DatasetRecord
from martfeast.datasets.registration import last_number, register, registry_state
from martfeast.declaration.declared import Declaration, Exposure, LabelMart
from martfeast.declaration.project import read_project
from martfeast.engines.duckdb import connect_in_utc
from martfeast.files import locked
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.gate.assess import assess
from martfeast.problems import did_you_mean, refusal

if TYPE_CHECKING:
    from martfeast.datasets.builder import Builder, Say
    from martfeast.to_feast.repository import FeatureRepo


@dataclass(frozen=True)
class Dataset:
    """A dataset that is there. path: its folder. record: all that is known of it.

    is_new: whether it was built now.
    """

    path: Path
    record: DatasetRecord
    is_new: bool


def build_dataset(
    dbt_project: ProjectLike,
    feature_repo: "FeatureRepo",
    exposure_name: str,
    request: Request,
    say: "Say" = lambda _: None,
) -> Dataset:
    """Build the training set of an exposure, unless the same is there already.

    It is written to ``<datasets>/<exposure>/<number>``: data.parquet, dataset.json (inputs, counts,
    measurements), card.html and croissant.json; and registered as Feast saved dataset
    ``<exposure>_<number>``. The same inputs give the same bytes of data.parquet.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        feature_repo: where the exposure's feature service is registered.
        exposure_name: an exposure of type ml with a label.
        request: which rows, and what was known of them.
        say: is told of progress, a line at a time.

    Raises:
        DeclarationError: the project is not ready, or what is asked for cannot be had; nothing has
            been written then.

    """
    project = read_project(dbt_project)
    exposure, mart = _find_exposure(project.declaration, exposure_name)
    assessment = assess(project, feature_repo.read_registered())
    assessment.require_ready()
    replays = {one.mart.name: one.replay for one in assessment.readiness if one.replay}
    # What only some users install, and Feast, are imported now that there is something to build.
    from martfeast.datasets.builder import Builder, find_inputs, is_own_store
    from martfeast.offline_store.source import connect

    store = feature_repo.store()
    registry = registry_state(store, project.declaration, exposure)
    connection = connect(store.config) if is_own_store(store) else connect_in_utc()
    population = Population.of(connection, mart, request)
    inputs = find_inputs(project, exposure, population, store, registry)
    population.check()
    builder = Builder(project, exposure, store, population, inputs, replays, say)
    folder = project.artifacts.datasets_path / exposure.name
    try:
        with locked(folder / ".lock", waiting_for=f"{exposure.name} is being built"):
            dataset = _find_or_build(folder, builder, last_number(folder, store, exposure) + 1)
            register(store, exposure, mart, dataset.path, dataset.record)
            return dataset
    except (OSError, duckdb.IOException) as error:
        raise refusal(
            str(folder),
            "not-writable",
            f"A dataset cannot be written there: {str(error).splitlines()[0].rstrip('.')}.",
            "Make room or set permissions, or set vars.martfeast.datasets_path.",
            cause=cause_of(error),
        ) from error


def _find_exposure(declaration: Declaration, name: str) -> tuple[Exposure, LabelMart]:
    exposure = declaration.exposures.get(name)
    if exposure is None:
        known = list(declaration.exposures)
        advice = did_you_mean(name, known, f"Exposures are: {', '.join(known) or 'none'}.")
        raise refusal(name, "exposure-unknown", "There is no such exposure of type ml.", advice)
    if exposure.label_mart is None:
        raise refusal(
            name,
            "label-missing",
            "It names no label, so there is nothing to learn.",
            "Add label: {mart: <label mart>} under its meta.feast.",
            exposure.place.file,
        )
    return exposure, exposure.label_mart


def _find_or_build(folder: Path, builder: "Builder", number: int) -> Dataset:
    for left in folder.glob(".building-*"):  # of a build that was killed
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    there = find_datasets(folder)
    for path, record in there:
        if record.inputs == builder.inputs:
            verify(path, record)
            builder.describe(path, record)
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
