"""The current release: which version of each mart is published, and the evidence for it.

The dbt package writes releases at the end of a run (``publish/release_files.sql``); this module is
the only one that reads them in Python.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from martfeast.feature_types import TIMESTAMP, FeatureType
from martfeast.problems import ProblemLog
from martfeast.published.verified import damage, damage_of_tagged, part_files
from martfeast.records import Count, FileStem, Moment, Record, RecordError

PUBLISHED_AT = "published_at"
# Relative to the published folder, and never out of it.
_VERSION_FILE = re.compile(r"marts/(?!\.)[^/]+/(?!\.)[^/]+\.parquet\Z")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    """Return the file of a version, absolute."""
    if not _VERSION_FILE.match(str(path)):
        raise ValueError(f"{path} is no file of a version: marts/<model>/<version>.parquet")
    return Path((info.context or {}).get("folder", "")) / path


class PartitionFile(_Part):
    """One file of a version in partitions, as it was written. name: its day or month, UTC."""

    name: str
    byte_count: Count
    sha256: str | None


class PublishedFile(_Part):
    """The Parquet file of a version, or its folder of them, as it was written. path: absolute.

    byte_count: None of a stand-in that was never published. sha256: None where a file was too large
    to be read whole. partitions: the files in the folder of a mart that is published in partitions.
    """

    path: Path
    byte_count: Count | None
    sha256: str | None
    partitions: tuple[PartitionFile, ...] = ()

    @field_validator("partitions", mode="before")
    @classmethod
    def _files(cls, raw: Any) -> Any:
        return raw.get("files") if isinstance(raw, dict) else raw or ()

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path, info: ValidationInfo) -> Path:
        return _in_folder(path, info)

    @property
    def tags(self) -> dict[str, str]:
        """What is known of it as tags of a data source: `damage_of_tagged` knows it by them."""
        known = {"byte_count": self.byte_count, "sha256": self.sha256}
        return {name: str(value) for name, value in known.items() if self.byte_count and value}

    @property
    def damage(self) -> str:
        """Why it is not what was published, in words; empty if it is."""
        found = damage_of_tagged(self.path, self.tags)
        if not found or not self.path.is_dir():
            return found
        for one in self.partitions:
            file = self.path / f"{one.name}.parquet"
            if why := damage(file, one.byte_count, one.sha256, depth=4):
                return f"{found}: {file.name} {why}"
        return found


class Ran(_Part):
    """What dbt was given when it built and tested a version, and what it made of the code.

    compiled: the MD5 of the SQL that each node of the lineage ran; None where there is no SQL.
    variables: the values of variables that were given on the command line, as JSON, by name.
    """

    compiled: dict[str, str | None]
    variables: dict[str, set[str]]

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, raw: Any) -> Any:
        """Collect from the lineage and the tests of a release."""
        if not isinstance(raw, dict) or "lineage" not in raw:
            return raw
        variables: dict[str, set[str]] = {}
        for one in [*raw["lineage"], *raw["tests"]]:
            given = json.loads(one.get("variables") or "{}")
            for name, value in given.items():
                variables.setdefault(name, set()).add(json.dumps(value, sort_keys=True))
        compiled = {one["node"]: one.get("compiled_checksum") for one in raw["lineage"]}
        return {"compiled": compiled, "variables": variables}


class RestatedPartition(_Part):
    """A partition with rows that are lost or others now. name: its day or month, UTC."""

    name: str
    row_count: Count


class Restatement(_Part):
    """What became of the rows that an older version had, of times that it covered.

    baseline: the older version, absolute: a Parquet file, or a folder of them. covered_row_count:
    its rows. restated_row_count: how many of them are lost or other rows now, or how many appeared
    among them, if that is more. restated_partitions: where, of a mart that is published in
    partitions.
    """

    baseline: Path | None = None
    covered_row_count: Count = 0
    restated_row_count: Count = 0
    restated_partitions: tuple[RestatedPartition, ...] = ()

    @field_validator("baseline")
    @classmethod
    def _absolute(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return path and _in_folder(path, info)

    def newest(self, most: int = 3) -> str:
        """Return the newest of the restated partitions in words; empty if there are none."""
        named = [f"{one.name} ({one.row_count:,})" for one in self.restated_partitions[::-1]]
        more = f" and {len(named) - most} more" if len(named) > most else ""
        return ", ".join(named[:most]) + more


class PublishedVersion(_Part):
    """One version of a mart: immutable rows, and what vouches for them.

    name: names the version, unique for its mart. file: its rows.
    published_at: UTC, without zone. built_by: the dbt invocation that last made these rows.
    row_count: rows.
    first_known_at, last_known_at: the range of the mart's timestamp, UTC; None without rows.
    content_hash: of the rows, in any order.
    tests: of each test that vouches for it, its status and the checksum of what it ran.
    sources: the newest load (UTC) of each source under the mart; None where the source is empty.
    lineage: what the mart and its ancestors ran then, as checksums by node.
    ran: what dbt was given then, and what it made of the code.
    history: what became of the rows of the version that history is compared with.
    """

    name: FileStem = Field(validation_alias="version")
    file: PublishedFile
    published_at: datetime
    built_by: str
    row_count: Count
    first_known_at: Moment | None
    last_known_at: Moment | None
    content_hash: str
    tests: dict[str, tuple[str, str | None]]
    sources: dict[str, datetime | None]
    lineage: dict[str, str | None]
    ran: Ran
    history: Restatement = Restatement()

    @property
    def path(self) -> Path:
        """Its Parquet file, absolute."""
        return self.file.path

    @model_validator(mode="before")
    @classmethod
    def _group(cls, raw: Any) -> Any:
        """Let its parts read the keys that stand beside them in the release."""
        return (
            dict.fromkeys(("file", "ran", "history"), raw) | raw if isinstance(raw, dict) else raw
        )

    @field_validator("published_at")
    @classmethod
    def _without_zone(cls, moment: datetime) -> datetime:
        return moment.replace(tzinfo=None)

    @field_validator("tests", "sources", "lineage", mode="before")
    @classmethod
    def _by_name(cls, listed: Any, info: ValidationInfo) -> Any:
        """Return entries by what they are about."""
        if not isinstance(listed, list):
            return listed
        if info.field_name == "tests":
            return {one["test"]: (one["status"], one["code_checksum"]) for one in listed}
        key, value = {
            "sources": ("source", "loaded_at"),
            "lineage": ("node", "code_checksum"),
        }[str(info.field_name)]
        return {one[key]: one[value] for one in listed}


class Terms(_Part):
    """Who may use a mart, who owns it, and which version of its model it is, as dbt has them.

    is_label: whether it is a label mart, which features must not rest on.
    """

    access: str
    is_label: bool
    group: str | None
    owner: dict[str, Any] | None
    version: str | int | float | None
    latest_version: str | int | float | None
    deprecation_date: str | None


class Declared(_Part):
    """What a public mart's YAML says: its node and its generic tests, with keys of the manifest."""

    node: dict[str, Any]
    tests: tuple[dict[str, Any], ...]


class Verdict(_Part):
    """What the last dbt run said of a mart.

    mart: what it is called. version: the version that is published, if any. held_back: why the
    mart's present rows were not published; empty when they were. warnings: what does not block:
    failed tests of severity warn, and stretches of time that later facts made stale. sharing: on
    which terms other projects may use it; None of a release that says nothing of it. declared: what
    they read of it; None where they may not.
    """

    unique_id: str
    mart: str = ""
    version: PublishedVersion | None
    held_back: list[str]
    warnings: list[str]
    sharing: Terms | None = None
    declared: Declared | None = None

    @model_validator(mode="before")
    @classmethod
    def _group(cls, raw: Any) -> Any:
        """Let the version read the keys that stand beside it in the file."""
        if isinstance(raw, dict) and isinstance(raw.get("version"), str):
            return {**raw, "version": raw}
        return raw


class Release(Record):
    """A release. number: counts up by one. marts: the verdict on each mart of the project then.

    judged_by, judged_at: the dbt invocation that made it, and when, UTC. target: the dbt target
    that publishes here. engine: what builds its marts, as dbt names its type. target_schema,
    location, warehouse_id: the schema and the database of that target, which has a number of its
    own.
    """

    FORMAT: ClassVar[int] = 6

    number: int = Field(default=0, validation_alias="release_number")
    judged_by: str = ""
    judged_at: str = ""
    target: str = ""
    target_schema: str = ""
    engine: str = ""
    location: str = ""
    warehouse_id: str = ""
    marts: tuple[Verdict, ...] = ()

    def verdict(self, unique_id: str) -> Verdict:
        """Return the verdict on a mart, by dbt's unique_id; on one that no run has judged, none."""
        nothing = Verdict(unique_id=unique_id, version=None, held_back=[], warnings=[])
        return next((one for one in self.marts if one.unique_id == unique_id), nothing)


def read_release(published_path: Path, log: ProblemLog) -> Release:
    """Read the current release of a folder of published marts.

    Args:
        published_path: the folder, absolute.
        log: where a damaged release goes.

    Returns:
        The release; number 0 and without verdicts if nothing is published, or if it cannot be read.

    """
    path = published_path / "current.json"
    try:
        return Release.read(path)
    except FileNotFoundError:
        return Release()
    except RecordError as error:
        log.add(
            None,
            "published marts",
            "release-unreadable",
            f"{path} cannot be used: {error}. The versions beside it are as they were.",
            error.fix("Run `dbt build`: it writes the file anew."),
        )
        return Release()


def release_files(published_path: Path) -> list[Path]:
    """Return the files of the releases that are there, each named by its number, in order."""
    files = sorted((published_path / "releases").glob("[0-9]*.json"))
    return [file for file in files if file.stem.isdecimal()]


def newer_release(published_path: Path, current: Release) -> int:
    """Return the highest number of a release that is there and above the current one; 0 if none.

    An older one was brought back then, or a run was cut off before the newer one held.
    """
    newest = max((int(path.stem) for path in release_files(published_path)), default=0)
    return newest if newest > current.number > 0 else 0


@dataclass(frozen=True)
class ColumnDifferences:
    """How a published file differs from a contract; nothing is said if it does not.

    unreadable: why its columns cannot be told. missing: columns of the contract that it lacks.
    undeclared: columns that the contract lacks. retyped: columns of another type, with what the
    file and the contract have.
    """

    unreadable: str = ""
    missing: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    retyped: tuple[tuple[str, pyarrow.DataType, pyarrow.DataType], ...] = ()

    def __str__(self) -> str:
        """Return the differences as words; empty if there are none."""
        parts = [self.unreadable] if self.unreadable else []
        parts += [f"{name} is missing" for name in self.missing]
        parts += [f"{name} is not in the contract" for name in self.undeclared]
        parts += [f"{name} is {a} where the contract says {b}" for name, a, b in self.retyped]
        return "; ".join(parts)


def column_differences(path: Path, contract: dict[str, FeatureType | None]) -> ColumnDifferences:
    """Compare a version's columns with a contract, from its files' footers alone.

    Args:
        path: a Parquet file, or a folder of part files.
        contract: the type of each column; None where any will do.

    """
    try:
        schemas = [parquet.read_schema(file) for file in part_files(path)]
    except FileNotFoundError:
        return ColumnDifferences(unreadable=f"{path} does not exist")
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        return ColumnDifferences(unreadable=f"{path} is not a whole Parquet file: {reason}")
    if not schemas or any(schema.names != schemas[0].names for schema in schemas):
        return ColumnDifferences(unreadable=f"{path} has no part files, or parts of other columns")
    schema = schemas[0]
    expected = {**contract, PUBLISHED_AT: TIMESTAMP}
    found = dict(zip(schema.names, schema.types, strict=True))
    return ColumnDifferences(
        missing=tuple(name for name in expected if name not in found),
        undeclared=tuple(name for name in found if name not in expected),
        retyped=tuple(
            (name, found[name], wanted.arrow)
            for name, wanted in expected.items()
            if wanted is not None and name in found and found[name] != wanted.arrow
        ),
    )
