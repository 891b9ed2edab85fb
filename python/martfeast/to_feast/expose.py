"""Puts a declaration where ``feast apply`` finds it, if the gate lets it pass."""

import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from martfeast.causes import Cause
from martfeast.declaration.project import read_project
from martfeast.files import acquire_lock, unusable, wait_for_publishing
from martfeast.from_dbt.artifacts import read_settings
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.gate.assess import Assessment, assess
from martfeast.gate.report import notes
from martfeast.problems import DeclarationError
from martfeast.to_feast.objects import feast_objects

if TYPE_CHECKING:
    from martfeast.to_feast.repository import FeatureRepo


@dataclass(frozen=True)
class Exposed:
    """What was put into a module. feature_repo: that of the module; None if it is in none."""

    assessment: Assessment
    feature_repo: "FeatureRepo | None"


def expose(
    namespace: MutableMapping[str, object],
    dbt_project: ProjectLike,
    target_path: str | None = None,
) -> Exposed:
    """Put a dbt project's Feast objects into a module, where ``feast apply`` finds them.

    This is the gate: unless every mart is ready, nothing is put there and Feast stops. Under
    ``feast apply`` it also locks the registry until the process ends, because Feast reads the whole
    registry file and writes it back: of two applies at once the later would undo the earlier.

    Args:
        namespace: the module's ``globals()``.
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: dbt's target folder, if it is not the project's usual one.

    Returns:
        What was put there.

    Raises:
        SystemExit: the declaration has problems or marts are not ready; the report is printed, and
            the code is that of its cause. Feast then stops before it touches the registry.

    """
    from martfeast.registry import settings_file
    from martfeast.to_feast.repository import FeatureRepo

    # Feast loads this module within its command, before it opens the registry.
    context = click.get_current_context(silent=True)
    folder = Path(str(namespace["__file__"])).resolve().parent
    yaml_file = settings_file(folder)
    feature_repo = FeatureRepo(folder, yaml_file) if yaml_file.exists() else None
    try:
        if feature_repo and feature_repo.registry_path and context and context.info_name == "apply":
            lock = Path(f"{feature_repo.registry_path}.lock")
            acquire_lock(lock, waiting_for=f"another feast apply holds {lock}")
        published_path, _ = read_settings(dbt_project)
        wait_for_publishing(published_path)
        registered = feature_repo.read_registered() if feature_repo else None
        assessment = assess(read_project(dbt_project, target_path), registered)
        assessment.require_ready()
    except DeclarationError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.cause) from None
    except OSError as error:
        print(f"martfeast: {unusable(error)}", file=sys.stderr)
        raise SystemExit(Cause.INFRASTRUCTURE) from None
    for note in notes(assessment):
        print(f"martfeast: {note}", file=sys.stderr)
    namespace.update(feast_objects(assessment.project.declaration))
    return Exposed(assessment, feature_repo)
