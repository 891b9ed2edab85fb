"""The gate: whether what a dbt project declares may be applied."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from martfeast.declaration.declared import Declaration
from martfeast.declaration.project import Project, read_project
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.gate.criterion import MartReadiness
from martfeast.gate.evidence import Evidence, Registered
from martfeast.gate.judge import failures, judge
from martfeast.problems import DeclarationError, Problem, ProblemLog
from martfeast.published.replays import read_replays


@dataclass(frozen=True)
class Assessment:
    """How a dbt project stands before the gate.

    registered: what the Feast registry holds.
    problems: what is wrong with the declaration itself, its settings and records.
    readiness: how each mart stands, by name.
    """

    project: Project
    registered: Registered
    problems: list[Problem]
    readiness: list[MartReadiness]

    @property
    def refusals(self) -> list[Problem]:
        """Everything that keeps the declaration from being applied; empty if it is ready."""
        return self.problems + failures(self.readiness)

    @property
    def exit_code(self) -> int:
        """The exit code that says so: 0 if it is ready."""
        return DeclarationError(self.refusals).cause if self.refusals else 0

    def require_ready(self) -> None:
        """Insist that nothing keeps the declaration from being applied.

        Raises:
            DeclarationError: something does; it lists everything.

        """
        if self.refusals:
            raise DeclarationError(self.refusals)


def assess(
    project: Project, registered: Registered | None = None, now: datetime | None = None
) -> Assessment:
    """Judge the marts of a project.

    Args:
        project: as read.
        registered: what the Feast registry holds; by default nothing.
        now: the moment to judge at, with zone; by default the clock's.

    """
    replays, damaged = read_replays(project.artifacts.published_path)
    log = ProblemLog([*project.problems, *damaged])
    registered = registered or Registered()
    evidence = Evidence(project, replays, registered, now or datetime.now(UTC))
    shared = {}
    for folder in {one.published_path for one in project.declaration.shared.values()}:
        shared[folder], damaged = read_replays(folder)
        log.problems += [
            replace(one, fix=f"It is for its owner to do: {one.fix}") for one in damaged
        ]
    readiness = judge(evidence, log, shared)
    return Assessment(project, evidence.registered, log.problems, readiness)


def read_declaration(dbt_project: ProjectLike, target_path: str | None = None) -> Declaration:
    """Read what a dbt project declares for Feast, and insist that it is ready.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: dbt's target folder, if it is not the project's usual one.

    Returns:
        The declaration. Every mart in it meets the criteria and has a published version with the
        columns and types of its contract.

    Raises:
        DeclarationError: something is wrong or not ready; it lists everything found.

    """
    project = read_project(dbt_project, target_path)
    assess(project).require_ready()
    return project.declaration
