"""Which dbt project is meant, and the options that dbt is run with there."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from martfeast.problems import refusal


@dataclass(frozen=True)
class DbtProject:
    """A dbt project's folder and dbt's own options, each as dbt takes it.

    folder: with dbt_project.yml. target_path: of dbt's artifacts. target: of the profile.
    profile: its name. profiles_dir: with profiles.yml. variables: as by ``--vars``.

    What is None is as dbt has it: an environment variable (``DBT_TARGET`` and so on), or else what
    the project says.
    """

    folder: Path
    target_path: str | None = None
    target: str | None = None
    profile: str | None = None
    profiles_dir: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def target_asked_for(self) -> str | None:
        """The target by option or environment variable; None if neither names one."""
        return self.target or os.environ.get("DBT_TARGET") or None

    @property
    def arguments(self) -> list[str]:
        """The options, as arguments of a dbt command that runs in the folder."""
        given = {
            "--target": self.target,
            "--profile": self.profile,
            "--profiles-dir": self.profiles_dir and str(Path(self.profiles_dir).resolve()),
        }
        options = [part for name, value in given.items() if value for part in (name, value)]
        return [*options, *self.given_variables]

    @property
    def given_variables(self) -> list[str]:
        """The variables, as arguments of a dbt command."""
        return ["--vars", yaml.safe_dump(self.variables)] if self.variables else []


ProjectLike = DbtProject | str | os.PathLike[str]


def as_dbt_project(project: ProjectLike, target_path: str | None = None) -> DbtProject:
    """Return a project; of a folder alone, with dbt's options as they are in the environment."""
    if isinstance(project, DbtProject):
        return project
    return DbtProject(Path(project), target_path)


def parse_variables(text: str) -> dict[str, Any]:
    """Return what ``--vars`` says: a mapping in YAML, as dbt reads it.

    Raises:
        DeclarationError: it is none.

    """
    try:
        variables = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _unreadable(text, " ".join(str(error).split())) from None
    if not isinstance(variables, dict):
        raise _unreadable(text, "it is not a mapping")
    return variables


def _unreadable(text: str, why: str) -> Exception:
    message = f"{text!r} cannot be read: {why}."
    return refusal("--vars", "vars-unreadable", message, "Write --vars '{name: value}'.")
