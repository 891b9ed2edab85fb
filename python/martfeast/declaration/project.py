"""Reads a dbt project's declaration and validates it; nothing is judged here."""

import os
from dataclasses import dataclass

from martfeast.declaration.declared import Declaration, FeatureMart, LabelMart
from martfeast.declaration.exposures import read_exposures
from martfeast.declaration.mart_rules import check_marts
from martfeast.declaration.marts import read_marts
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.problems import Problem, ProblemLog
from martfeast.published.release import Release, read_release


@dataclass(frozen=True)
class Project:
    """A dbt project: what dbt says, what is published, and what is declared for Feast.

    problems: what is wrong with the declaration itself, or with the files of the release.
    """

    artifacts: Artifacts
    release: Release
    declaration: Declaration
    problems: list[Problem]


def read_project(dbt_project: str | os.PathLike[str], target_path: str | None = None) -> Project:
    """Read a dbt project's declaration, and say what is wrong with it.

    Args:
        dbt_project: the folder with dbt_project.yml; any working directory will do.
        target_path: dbt's target folder, if it is not the project's usual one.

    Raises:
        DeclarationError: there is no dbt project here, or dbt has not run in it as it is now.

    """
    artifacts = read_artifacts(dbt_project, target_path)
    log = ProblemLog()
    release = read_release(artifacts.published_path, log)
    marts = read_marts(artifacts, release, log)
    check_marts(marts, log)
    exposures = read_exposures(artifacts, {mart.name: mart for mart in marts}, log)
    declaration = Declaration(
        {mart.name: mart for mart in marts if isinstance(mart, FeatureMart)},
        {mart.name: mart for mart in marts if isinstance(mart, LabelMart)},
        {exposure.name: exposure for exposure in exposures},
    )
    return Project(artifacts, release, declaration, log.problems)
