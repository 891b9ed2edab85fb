"""The version of martfeast, told once: in the dbt package's dbt_project.yml."""

import re
from pathlib import Path

DBT_PACKAGE = "martfeast"
_VERSION = re.compile(r"""^version:\s*["']?([^"'\s#]+)""", re.MULTILINE)


def package_version(project_file: Path) -> str | None:
    """Return the version in a dbt_project.yml; None if there is no such file or no version."""
    try:
        found = _VERSION.search(project_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


VERSION = package_version(Path(__file__).parent / "dbt_package/dbt_project.yml")
