"""A target's profile, and a stand-in for it: a DuckDB in memory of the same name and schema."""

import contextlib
import os
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import refusal


@dataclass(frozen=True)
class Target:
    """A target of a profile. name, profile: of both. credentials: dbt's."""

    name: str
    profile: str
    credentials: Any


def read_target(dbt_project: DbtProject, otherwise: str | None) -> Target:
    """Return a target as dbt reads it in the project's folder.

    Args:
        dbt_project: with the options that dbt is run with.
        otherwise: the target where the options name none; None for the one of the profile.

    Raises:
        DeclarationError: dbt cannot read it.

    """
    from dbt.cli.resolvers import default_profiles_dir
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.exceptions import DbtBaseException

    given = dbt_project.profiles_dir or os.environ.get("DBT_PROFILES_DIR")
    given = given and str(Path(given).resolve())
    try:
        with contextlib.chdir(dbt_project.folder):
            profiles = given or str(default_profiles_dir())
            set_from_args(Namespace(PROFILES_DIR=profiles, project_dir="."), {})
            read = load_profile(
                ".",
                dbt_project.variables,
                dbt_project.profile or os.environ.get("DBT_PROFILE"),
                dbt_project.target_asked_for or otherwise,
            )
    except DbtBaseException as error:
        said = " ".join(str(error).split())
        fix = "Mend profiles.yml, or name another target with --target."
        raise refusal("dbt profile", "profile-unreadable", f"{said}.", fix) from error
    return Target(read.target_name, read.profile_name, read.credentials)


def write_stand_in(folder: Path, target: Target, plugins: tuple[str, ...] = ()) -> list[str]:
    """Write a profiles.yml in which a DuckDB in memory stands for a target.

    Args:
        folder: where to write it.
        target: what it stands for.
        plugins: modules that dbt-duckdb is to load.

    Returns:
        The options with which dbt takes it.

    """
    output = {
        "type": "duckdb",
        "path": ":memory:",
        "schema": target.credentials.schema,
        "threads": 1,
        "settings": {"TimeZone": "UTC"},
        "plugins": [{"module": module} for module in plugins],
    }
    outputs = {"target": target.name, "outputs": {target.name: output}}
    (folder / "profiles.yml").write_text(yaml.safe_dump({target.profile: outputs}))
    return [
        *("--profiles-dir", str(folder)),
        *("--profile", target.profile),
        *("--target", target.name),
    ]
