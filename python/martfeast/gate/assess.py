"""Reads a dbt project's declaration, validates it as a whole and judges its marts."""

import os
from dataclasses import dataclass

from martfeast.declaration.declared import Declaration
from martfeast.declaration.exposures import read_exposures
from martfeast.declaration.marts import check_marts, read_marts
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.gate.judge import Evidence, MartReadiness, Registered, failures, judge, utc_now
from martfeast.problems import DeclarationError, Problem, ProblemLog
from martfeast.published.release import Release, read_release
from martfeast.published.replays import read_replays


@dataclass(frozen=True)
class Assessment:
    """How a dbt project stands before the gate.

    problems: what is wrong with the declaration itself. readiness: how each mart stands, by name.
    """

    artifacts: Artifacts
    release: Release
    declaration: Declaration
    problems: list[Problem]
    readiness: list[MartReadiness]

    @property
    def refusals(self) -> list[Problem]:
        """Everything that keeps the declaration from being applied; empty if it is ready."""
        return self.problems + failures(self.readiness)


def assess(
    dbt_project: str | os.PathLike[str],
    target_path: str | None = None,
    registered: Registered | None = None,
) -> Assessment:
    """Read a dbt project's declaration and say how it stands.

    Args:
        dbt_project: the folder with dbt_project.yml; any working directory will do.
        target_path: dbt's target folder, if it is not the project's usual one.
        registered: what the Feast registry holds; by default nothing.

    Raises:
        DeclarationError: there is no dbt project here, or dbt has not run in it as it is now.

    """
    artifacts, stale = read_artifacts(dbt_project, target_path)
    if stale:  # what an outdated manifest says of the rest would mislead
        raise DeclarationError(stale)
    log = ProblemLog()
    release = read_release(artifacts.published_path, log)
    marts = read_marts(artifacts, release, log)
    check_marts(marts, log)
    by_name = {mart.name: mart for mart in marts}
    exposures = read_exposures(artifacts, by_name, log)
    evidence = Evidence(
        artifacts,
        release,
        read_replays(artifacts.published_path),
        exposures,
        registered or Registered(),
        utc_now(),
    )
    settings = artifacts.settings.get("criteria", {})
    readiness = judge(marts, evidence, settings, log)
    declaration = Declaration(by_name, {exposure.name: exposure for exposure in exposures})
    return Assessment(artifacts, release, declaration, log.problems, readiness)


def read_declaration(
    dbt_project: str | os.PathLike[str], target_path: str | None = None
) -> Declaration:
    """Read what a dbt project declares for Feast, and insist that it is ready.

    Args:
        dbt_project: the folder with dbt_project.yml; any working directory will do.
        target_path: dbt's target folder, if it is not the project's usual one.

    Returns:
        The declaration. Every mart in it meets the criteria and has a published version with the
        columns and types of its contract.

    Raises:
        DeclarationError: something is wrong or not ready; it lists everything found.

    """
    assessment = assess(dbt_project, target_path)
    if assessment.refusals:
        raise DeclarationError(assessment.refusals)
    return assessment.declaration
