"""``martfeast publish``: judge and publish what dbt built on an engine that cannot do so itself."""

import contextlib
import os
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from martfeast.engines.engine import open_engine
from martfeast.extras import extra
from martfeast.files import temporary_folder, wait_for_publishing
from martfeast.from_dbt.artifacts import read_settings
from martfeast.from_dbt.dbt_project import DbtProject, ProjectLike, as_dbt_project
from martfeast.problems import ProblemLog, refusal
from martfeast.published.release import read_release

OPERATION = "martfeast.publish_recorded"


def publish(project: ProjectLike, say: Callable[[str], None]) -> None:
    """Judge the marts of a target by the evidence that is recorded there, and publish what may be.

    The dbt package's own macros do that, in a DuckDB in memory: the verdict, the versions and the
    release are those that a build on DuckDB would give. The evidence is read from the target's
    engine, and marts that may have a new version are exported from it.

    Args:
        project: the dbt project.
        say: is given what was published and what was held back, a line each.

    Raises:
        DeclarationError: the target or its engine cannot be used, or dbt failed; the last release
            holds.
        MissingExtraError: what the engine needs is not installed.

    """
    dbt_project = as_dbt_project(project)
    published_path, settings = read_settings(dbt_project)
    with contextlib.chdir(dbt_project.folder), temporary_folder("publishing") as name:
        folder = Path(name)
        profile = _profile(dbt_project)
        _write_stand_in(folder, profile)
        engine = open_engine(profile.credentials)
        wait_for_publishing(published_path)
        with extra("spark"):
            from martfeast.publishing.functions import Exchange
        exchange = Exchange(engine, str(settings.get("evidence_schema") or "martfeast"))
        Exchange.current = exchange
        variables = {
            **dbt_project.variables,
            "martfeast_engine": {
                "name": profile.credentials.type,
                "location": engine.location,
                "folder": str(folder),
            },
        }
        try:
            _run_dbt(folder, profile, variables, exchange, say)
        finally:
            Exchange.current = None
            _remove_unused(published_path, exchange.exported)


def _profile(dbt_project: DbtProject) -> Any:
    """Return dbt's profile of the target that is meant.

    Raises:
        DeclarationError: dbt cannot read it.

    """
    from dbt.cli.resolvers import default_profiles_dir
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.exceptions import DbtBaseException

    profiles = dbt_project.profiles_dir or os.environ.get("DBT_PROFILES_DIR")
    profiles = str(Path(profiles or default_profiles_dir()).resolve())
    try:
        set_from_args(Namespace(PROFILES_DIR=profiles, project_dir="."), {})
        return load_profile(
            ".", dbt_project.variables, dbt_project.profile, dbt_project.target_asked_for
        )
    except DbtBaseException as error:
        said = " ".join(str(error).split())
        fix = "Mend profiles.yml, or name another target with --target."
        raise refusal("dbt profile", "profile-unreadable", f"{said}.", fix) from error


def _write_stand_in(folder: Path, profile: Any) -> None:
    """Write a profiles.yml with a target of the same name and schema: a DuckDB in memory."""
    target = {
        "type": "duckdb",
        "path": ":memory:",
        "schema": profile.credentials.schema,
        "threads": 1,
        "settings": {"TimeZone": "UTC"},
        "plugins": [{"module": "martfeast.publishing.functions"}],
    }
    outputs = {"target": profile.target_name, "outputs": {profile.target_name: target}}
    (folder / "profiles.yml").write_text(yaml.safe_dump({profile.profile_name: outputs}))


def _run_dbt(
    folder: Path,
    profile: Any,
    variables: dict[str, Any],
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
            *("run-operation", OPERATION),
            *("--profiles-dir", str(folder), "--profile", profile.profile_name),
            *("--target", profile.target_name, "--target-path", str(folder / "target")),
            *("--vars", yaml.safe_dump(variables)),
        ]
    )
    if exchange.failure is not None:
        raise exchange.failure
    if not result.success:
        said = " ".join((failures or [str(result.exception)])[-1].split())
        raise refusal(
            "martfeast publish",
            "publishing-failed",
            f"dbt says: {said}. The last release holds.",
            "Mend that, and run this again.",
        )


def _remove_unused(published_path: Path, exported: list[Path]) -> None:
    """Remove what was exported and is no version: its rows are published already, or cannot be."""
    versions = [one.version for one in read_release(published_path, ProblemLog()).marts]
    kept = {one.path.resolve() for one in versions if one}
    for path in exported:
        if path.resolve() not in kept and path.resolve().is_relative_to(published_path.resolve()):
            shutil.rmtree(path, ignore_errors=True)
