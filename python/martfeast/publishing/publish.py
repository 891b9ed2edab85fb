"""``martfeast publish``: judge and publish what dbt built on an engine that cannot do so itself."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from martfeast.causes import cause_said
from martfeast.engines.engine import open_engine
from martfeast.extras import extra
from martfeast.files import temporary_folder, wait_for_database, wait_for_publishing
from martfeast.from_dbt.artifacts import evidence_schema_of, read_settings
from martfeast.from_dbt.dbt_project import ProjectLike, as_dbt_project
from martfeast.problems import ProblemLog, refusal
from martfeast.published.release import read_release
from martfeast.running_dbt.stand_in import read_target, write_stand_in

OPERATION = "martfeast.publish_recorded"
HELD_BACK = "martfeast: held back: "


def publish(project: ProjectLike, say: Callable[[str], None]) -> bool:
    """Judge the marts of a target by the evidence that is recorded there, and publish what may be.

    The dbt package's own macros do that, in a DuckDB in memory: the verdict, the versions and the
    release are those that a build on DuckDB would give. The evidence is read from the target's
    engine, and marts that may have a new version are exported from it.

    Args:
        project: the dbt project.
        say: is given what was published and what was held back, a line each.

    Returns:
        Whether nothing was held back.

    Raises:
        DeclarationError: the target or its engine cannot be used, or dbt failed; the last release
            holds.
        MissingExtraError: what the engine needs is not installed.

    """
    dbt_project = as_dbt_project(project)
    published_path, settings = read_settings(dbt_project)
    with contextlib.chdir(dbt_project.folder), temporary_folder("publishing") as name:
        folder = Path(name)
        target = read_target(dbt_project, settings.get("target"))
        options = write_stand_in(folder, target, ("martfeast.publishing.functions",))
        engine = open_engine(target.credentials)
        wait_for_publishing(published_path)
        with extra("spark"):
            from martfeast.publishing.functions import Exchange
        exchange = Exchange.open(engine, evidence_schema_of(settings))
        fetched_from = {
            "name": target.credentials.type,
            "location": engine.location,
            "folder": str(folder),
        }
        variables = {**dbt_project.variables, "martfeast_engine": fetched_from}
        options += replace(dbt_project, variables=variables).given_variables
        said: list[str] = []
        try:
            _run_dbt(folder, options, exchange, said.append)
        finally:
            exchange.close()
            _remove_unused(published_path, exchange.exported)
            for line in said:
                say(line)
        return not any(line.startswith(HELD_BACK) for line in said)


def _run_dbt(
    folder: Path,
    options: list[str],
    exchange: Any,
    say: Callable[[str], None],
) -> None:
    """Run the package's operation, and pass on what it says.

    Raises:
        DeclarationError: it failed.

    """
    from dbt.cli.main import dbtRunner

    failures: list[str] = []

    def heard(event: Any) -> None:
        message = str(event.info.msg)
        if event.info.level == "error":
            failures.append(message)
        elif message.startswith("martfeast: "):
            say(message)

    result = dbtRunner(callbacks=[heard]).invoke(
        [
            *("--log-level", "none", "--log-path", str(folder), "--no-use-colors"),
            *("run-operation", OPERATION, *options),
            *("--target-path", str(folder / "target")),
        ]
    )
    if exchange.failure is not None:
        raise exchange.failure
    if not result.success:
        failure = (failures or [str(result.exception)])[-1]
        if wait_for_database(failure):  # another run has begun to publish meanwhile
            return _run_dbt(folder, options, exchange, say)
        said = " ".join(failure.split()).rstrip(".")
        raise refusal(
            "martfeast publish",
            "publishing-failed",
            f"dbt says: {said}. The last release holds.",
            "Mend that, and run this again.",
            cause=cause_said(said),
        )


def _remove_unused(published_path: Path, exported: list[Path]) -> None:
    """Remove what was exported and is no version: its rows are published already, or cannot be."""
    versions = [one.version for one in read_release(published_path, ProblemLog()).marts]
    kept = {one.path.resolve() for one in versions if one}
    for path in exported:
        if path.resolve() not in kept and path.resolve().is_relative_to(published_path.resolve()):
            shutil.rmtree(path, ignore_errors=True)
