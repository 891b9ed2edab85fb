"""Reads the current release: which version of each mart is published, and the evidence for it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from martfeast.feature_types import TIMESTAMP, FeatureType
from martfeast.problems import ProblemLog

PUBLISHED_AT = "published_at"
FORMAT = 1


@dataclass(frozen=True)
class PublishedVersion:
    """One version of a mart: immutable rows, and what vouches for them.

    name: names the version, unique for its mart. path: its Parquet file, absolute.
    published_at: UTC, without zone. built_by: the dbt invocation that last made these rows.
    lineage: what the mart and its ancestors ran then, as checksums by node. row_count: rows.
    first_known_at, last_known_at: the range of the mart's timestamp, UTC; None without rows.
    content_hash: of the rows, in any order. tests: of each test that vouches for it, its status and
    the checksum of what it ran.
    sources: the newest load (UTC) of each source under the mart; None where the source is empty.
    """

    name: str
    path: Path
    published_at: datetime
    built_by: str
    lineage: dict[str, str]
    row_count: int
    first_known_at: str | None
    last_known_at: str | None
    content_hash: str
    tests: dict[str, tuple[str, str | None]]
    sources: dict[str, datetime | None]


@dataclass(frozen=True)
class Verdict:
    """What the last dbt run said of a mart.

    version: the version that is published, if any. held_back: why the mart's present rows were not
    published; empty when they were. warnings: failed tests that do not block.
    """

    version: PublishedVersion | None
    held_back: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Release:
    """The current release. number: counts up by one. verdicts: by the mart's dbt unique_id."""

    number: int
    verdicts: dict[str, Verdict]


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
        record = json.loads(path.read_bytes())
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']}, and this martfeast reads {FORMAT}")
        verdicts = {mart["unique_id"]: _verdict(mart, published_path) for mart in record["marts"]}
        return Release(int(record["release_number"]), verdicts)
    except FileNotFoundError:
        return Release(0, {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        log.add(
            None,
            "published marts",
            "release-unreadable",
            f"{path} cannot be read ({reason}). The versions beside it are as they were.",
            "Run `dbt build`: it writes the file anew.",
        )
        return Release(0, {})


def _verdict(mart: dict[str, Any], published_path: Path) -> Verdict:
    version = None
    if mart["version"] is not None:
        version = PublishedVersion(
            name=mart["version"],
            path=published_path / mart["path"],
            published_at=datetime.fromisoformat(mart["published_at"]).replace(tzinfo=None),
            built_by=mart["built_by"],
            lineage={entry["node"]: entry["code_checksum"] for entry in mart["lineage"]},
            row_count=mart["row_count"],
            first_known_at=mart["first_known_at"],
            last_known_at=mart["last_known_at"],
            content_hash=mart["content_hash"],
            tests={test["test"]: (test["status"], test["code_checksum"]) for test in mart["tests"]},
            sources={
                source["source"]: source["loaded_at"]
                and datetime.fromisoformat(source["loaded_at"])
                for source in mart["sources"]
            },
        )
    return Verdict(version, list(mart["held_back"]), list(mart["warnings"]))


def column_differences(path: Path, contract: dict[str, FeatureType | None]) -> str:
    """Compare a published file's columns with a contract, from the file's footer alone.

    Args:
        path: a Parquet file.
        contract: the type of each column; None where any will do.

    Returns:
        What is wrong with the file, as words; empty if nothing is.

    """
    try:
        schema = parquet.read_schema(path)
    except FileNotFoundError:
        return f"{path} does not exist"
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        return f"{path} is not a whole Parquet file: {reason}"
    expected = {**contract, PUBLISHED_AT: TIMESTAMP}
    found = dict(zip(schema.names, schema.types, strict=True))
    differences = [f"{name} is missing" for name in expected if name not in found]
    differences += [f"{name} is not in the contract" for name in found if name not in expected]
    differences += [
        f"{name} is {found[name]} where the contract says {wanted.arrow}"
        for name, wanted in expected.items()
        if wanted is not None and name in found and found[name] != wanted.arrow
    ]
    return f"{path} differs from the contract: {'; '.join(differences)}" if differences else ""
