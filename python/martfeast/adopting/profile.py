"""What the profile lacks so that a build links the files of days that did not change."""

import os
from pathlib import Path
from typing import Any

from martfeast.adopting.edits import Edit, read_text
from martfeast.adopting.yaml_text import YamlTextError, added, load
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import DeclarationError

LINKS = "martfeast.publishing.links"
PROFILES = "profiles.yml"


def with_links(project: DbtProject, name: object, otherwise: object) -> Edit | str | None:
    """Name the plugin that links files in the DuckDB target that dbt takes, or say how.

    Args:
        project: the dbt project.
        name: of its profile, unless dbt's options say so.
        otherwise: of the target, unless dbt's options say so; None for the profile's own.

    Returns:
        The edit of the project's own profiles.yml; a note where that lies elsewhere, names plugins
        already or cannot be added to; None where nothing is missing, or dbt takes no DuckDB.

    Raises:
        DeclarationError: the project's own profiles.yml cannot be read.

    """
    project_dir = project.folder.resolve()
    file = _profiles_file(project, project_dir)
    is_own = file.is_relative_to(project_dir)
    try:
        text = read_text(file.parent, file.name)
    except DeclarationError:
        if is_own:
            raise
        text = None  # somebody else's: nothing of it is to be written
    name = project.profile or os.environ.get("DBT_PROFILE") or name
    target = project.target_asked_for or otherwise
    try:
        profile = _at(load(text or ""), name)
        target = target or _at(profile, "target") or "default"
        output = _at(_at(profile, "outputs"), target)
        if _at(output, "type") != "duckdb" or LINKS in str(_at(output, "plugins")):
            return None
        if is_own and "plugins" not in output:
            plugins = {"plugins": [{"module": LINKS}]}
            after = added(text or "", (str(name), "outputs", str(target)), plugins)
            return Edit(project_dir, str(file.relative_to(project_dir)), text, after)
    except YamlTextError:
        pass
    return (
        f"{file} stays as it is. Add plugins: [{{module: {LINKS}}}] to the target"
        f" {target or 'on DuckDB'}: then days that did not change are linked from version to"
        " version, and not copied; see docs/gate.md."
    )


def _profiles_file(project: DbtProject, project_dir: Path) -> Path:
    """Return where dbt looks for profiles, when it runs in the project's folder."""
    given = project.profiles_dir or os.environ.get("DBT_PROFILES_DIR")
    own = (project_dir / PROFILES).exists()
    folder = Path(given) if given else project_dir if own else Path.home() / ".dbt"
    return (folder / PROFILES).resolve()


def _at(data: Any, key: object) -> Any:
    return data.get(key) if isinstance(data, dict) and isinstance(key, str) else None
