"""What jobs, runs and data sets are called in OpenLineage, so that all who send events agree.

Tables are named as dbt-ol names them, feature views and services as Feast does, files by their
absolute path.
"""

import os
import re
import uuid
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from martfeast.from_dbt.node import Model, Source
from martfeast.published.release import Release

# Of this project alone: the same facts give the same run, however often they are sent.
_RUNS = uuid.UUID("5f3c1f0e-6a0f-4d4e-9f0a-4c5b1f1f5a10")
_QUOTED = re.compile(r"'([^']+)'")


class Name(NamedTuple):
    """A data set or a job: its namespace, and its name in that."""

    namespace: str
    name: str


def job_namespace() -> str:
    """Return the namespace of martfeast's own jobs: OPENLINEAGE_NAMESPACE, or ``martfeast``."""
    return os.environ.get("OPENLINEAGE_NAMESPACE") or "martfeast"


def feast_namespace(config: Any) -> str:
    """Return the namespace that Feast's own events have, from Feast's RepoConfig."""
    from feast.openlineage.identity import resolve_namespace

    settings = getattr(config, "openlineage", None)
    return str(resolve_namespace(getattr(settings, "namespace", None), config.project))


def run_id(*facts: object) -> str:
    """Return the id of a run that happened once: a UUID made of facts that no other run has."""
    return str(uuid.uuid5(_RUNS, "\n".join(map(str, facts))))


def table(release: Release, node: Model | Source) -> Name:
    """Return the name of a relation in the warehouse whose marts a release has, as dbt-ol has it.

    A path in it is as the profile has it: relative, if the profile's is.
    """
    named = node.name if isinstance(node, Source) else node.alias
    parts = [node.relation.database, node.relation.schema_name, named]
    return Name(f"{release.engine}://{release.location}", ".".join(part for part in parts if part))


def file(path: Path | str, folder: Path | None = None) -> Name:
    """Return the name of a file or an object.

    Args:
        path: a path, absolute or relative to the folder; or a URL, such as ``s3://bucket/key``.
        folder: the current one unless given. Symlinks stay: where they lead to changes.

    """
    url = urlsplit(str(path))
    if url.scheme and url.scheme != "file" and url.netloc:
        return Name(f"{url.scheme}://{url.netloc}", url.path.lstrip("/"))
    local = Path(url.path if url.scheme == "file" else str(path))
    return Name("file", os.path.abspath(Path(folder or Path.cwd()) / local))  # noqa: PTH100


def source_file(source: Source, folder: Path) -> Name | None:
    """Return the file that dbt-duckdb reads in a source's stead; None if that is not said.

    Args:
        source: ``meta.external_location`` names the file, alone or quoted in a call.
        folder: the dbt project's, absolute.

    """
    location = {**source.meta, **source.config.meta}.get("external_location")
    if not isinstance(location, str) or not location:
        return None
    quoted = _QUOTED.search(location)
    path = quoted.group(1) if quoted else location
    for key, value in (("name", source.name), ("identifier", source.identifier)):
        path = path.replace(f"{{{key}}}", value)
    return file(path, folder)
