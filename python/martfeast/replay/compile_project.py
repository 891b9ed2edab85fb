"""Runs ``dbt compile`` and notes where its databases are; a process of its own, for its locks.

``python -m martfeast.replay.compile_project <target folder> <options of dbt>`` in a dbt project.
"""

import json
import sys
from pathlib import Path


def main(target: Path, given: list[str]) -> int:
    """Write manifest.json, with every model's SQL as a full refresh runs it, and warehouse.json.

    Args:
        target: the folder to write to, absolute.
        given: options of dbt: target, profile, variables.

    Returns:
        The exit code; what went wrong is on stderr.

    """
    from dbt.adapters.factory import FACTORY
    from dbt.cli.main import dbtRunner

    options = ["--quiet", "--no-use-colors", "--no-populate-cache", "--full-refresh"]
    result = dbtRunner().invoke(["compile", *options, *given, "--target-path", str(target)])
    if not result.success:
        if result.exception:
            print(result.exception, file=sys.stderr)
        return 1
    (adapter,) = FACTORY.adapters.values()
    credentials = adapter.config.credentials  # type: ignore[attr-defined]
    databases = {credentials.database: _database(getattr(credentials, "path", ""), None)}
    for attached in getattr(credentials, "attach", None) or []:
        # DuckDB names what has no alias by its file, up to the first dot.
        name = attached.alias or Path(attached.path).name.split(".")[0]
        databases[name] = _database(attached.path, attached.type)
    warehouse = {
        "type": credentials.type,
        "name": credentials.database,
        "target": adapter.config.target_name,  # type: ignore[attr-defined]
        "databases": databases,
        "settings": getattr(credentials, "settings", None) or {},
    }
    (target / "warehouse.json").write_text(json.dumps(warehouse))
    return 0


def _database(path: str, type_: str | None) -> dict[str, str | None]:
    """Return where a database is, absolute if it is a file, and of what type."""
    is_file = not path.startswith((":memory:", "md:")) and "://" not in path
    return {"path": str(Path(path).resolve()) if is_file else path, "type": type_}


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
