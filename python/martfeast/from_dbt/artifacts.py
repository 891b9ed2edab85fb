"""Reads what dbt left behind: the project file and the manifest, and whether they still agree."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from martfeast.problems import Problem, refusal

DEFAULT_PUBLISHED_PATH = "data/published"
MANIFEST_VERSION = "https://schemas.getdbt.com/dbt/manifest/v12.json"
BUILD = "Run `dbt build`."


@dataclass(frozen=True)
class Artifacts:
    """A dbt project as of its last dbt command.

    project_dir: the folder of dbt_project.yml, absolute. manifest: target/manifest.json, parsed.
    published_path: the folder of the published marts, absolute.
    packages_path: the folder of installed dbt packages, absolute.
    settings: the project's variables for martfeast. variables: all others.
    """

    project_dir: Path
    manifest: dict[str, Any]
    published_path: Path
    packages_path: Path
    settings: dict[str, Any]
    variables: dict[str, Any]

    def replay_checksum(self, unique_id: str) -> str:
        """Return the MD5 of what a replay of a node depends on, its rows left out.

        That is its code, if it is a model or a snapshot, what it says of knowledge time, and the
        variables of dbt_project.yml.
        """
        node = self.manifest["nodes"].get(unique_id) or self.manifest["sources"][unique_id]
        has_code = node["resource_type"] in ("model", "snapshot")
        config = node["config"]
        parts = [
            self.code_checksum(unique_id) if has_code else "",
            config.get("event_time"),
            (config.get("meta") or {}).get("martfeast"),
            self.variables,
        ]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def upstream(self, unique_id: str) -> list[str]:
        """Return the unique_ids of a node and of all upstream of it, each after its parents."""
        nodes, seen = self.manifest["nodes"], {unique_id}
        found: list[str] = []

        def collect(name: str) -> None:
            # A source has nothing upstream, and is not among the nodes.
            for parent in nodes.get(name, {}).get("depends_on", {}).get("nodes", []):
                if parent not in seen:
                    seen.add(parent)
                    collect(parent)
            found.append(name)

        collect(unique_id)
        return found

    def code_checksum(self, unique_id: str) -> str:
        """Return the MD5 of what a node runs, as the dbt package's macro of this name has it.

        It covers the node's file and materialization, for a test its settings and arguments, the
        macros it calls (dbt's own left out), and the ephemeral models that are part of it.
        """
        nodes = self.manifest["nodes"]
        node = nodes[unique_id]
        config = node["config"]
        parts = [node["checksum"]["checksum"] or "", config["materialized"]]
        if node["resource_type"] == "test":
            settings = ("severity", "where", "limit", "warn_if", "error_if", "fail_calc")
            parts += [str(config[key]) for key in settings]
            arguments = (node.get("test_metadata") or {}).get("kwargs", {})
            parts.append(json.dumps(arguments, sort_keys=True))
        parts += [
            self.manifest["macros"][macro_id]["macro_sql"]
            for macro_id in sorted(self._macros(node["depends_on"]["macros"], set()))
        ]
        parts += [
            self.code_checksum(parent)
            for parent in sorted(node["depends_on"].get("nodes", []))
            if parent in nodes and nodes[parent]["config"]["materialized"] == "ephemeral"
        ]
        return hashlib.md5("\n".join(parts).encode(), usedforsecurity=False).hexdigest()

    def _macros(self, macro_ids: list[str], found: set[str]) -> set[str]:
        own = {"dbt", f"dbt_{self.manifest['metadata'].get('adapter_type')}"}
        for macro_id in macro_ids:
            if macro_id not in found and macro_id.split(".")[1] not in own:
                found.add(macro_id)
                self._macros(self.manifest["macros"][macro_id]["depends_on"]["macros"], found)
        return found

    def file_of(self, package: str, path: str) -> str:
        """Return a dbt package's file, relative to the project; packages are installed below it."""
        if package == self.manifest["metadata"]["project_name"]:
            return path
        return str((self.packages_path / package / path).relative_to(self.project_dir))


def read_artifacts(
    dbt_project: str | os.PathLike[str], target_path: str | None
) -> tuple[Artifacts, list[Problem]]:
    """Read a dbt project's artifacts from any working directory.

    Args:
        dbt_project: the folder with dbt_project.yml.
        target_path: the folder with manifest.json; by default what dbt itself would use, the
            environment variable DBT_TARGET_PATH, or else ``target-path`` of the project, or else
            ``target``. Relative paths are relative to the project.

    Returns:
        The artifacts, and a problem for each file that the manifest does not describe as it is now.

    Raises:
        DeclarationError: there is no project here, dbt never ran, or its manifest cannot be read.

    """
    project_dir = Path(dbt_project).resolve()
    project = _read_project(project_dir)
    target = target_path or os.environ.get("DBT_TARGET_PATH") or project.get("target-path")
    manifest_path = project_dir / str(target or "target") / "manifest.json"
    manifest = _read_manifest(manifest_path)
    settings = _settings(project)
    artifacts = Artifacts(
        project_dir=project_dir,
        manifest=manifest,
        published_path=_published_path(project_dir, settings),
        packages_path=project_dir / str(project.get("packages-install-path") or "dbt_packages"),
        settings=settings,
        variables={
            name: value
            for name, value in (project.get("vars") or {}).items()
            if name != "martfeast"
        },
    )
    folders = [
        project_dir / str(path)
        for key, default in (
            ("model-paths", ["models"]),
            ("macro-paths", ["macros"]),
            ("seed-paths", ["seeds"]),
            ("test-paths", ["tests"]),
        )
        for path in project.get(key) or default
    ]
    return artifacts, _find_stale(artifacts, folders)


def published_path(dbt_project: str | os.PathLike[str]) -> Path:
    """Return the folder that a dbt project publishes its marts to, absolute.

    Raises:
        DeclarationError: there is no project here.

    """
    project_dir = Path(dbt_project).resolve()
    return _published_path(project_dir, _settings(_read_project(project_dir)))


def _settings(project: dict[str, Any]) -> dict[str, Any]:
    variables = project.get("vars")
    scoped = variables.get("martfeast") if isinstance(variables, dict) else None
    return scoped if isinstance(scoped, dict) else {}


def _published_path(project_dir: Path, settings: dict[str, Any]) -> Path:
    return project_dir / str(settings.get("published_path") or DEFAULT_PUBLISHED_PATH)


def _read_project(project_dir: Path) -> dict[str, Any]:
    path = project_dir / "dbt_project.yml"
    try:
        project = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise refusal(
            "dbt project",
            "project-missing",
            f"{path} does not exist.",
            "Name a dbt project's folder.",
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise refusal(
            "dbt project",
            "project-unreadable",
            f"{path} cannot be read: {reason}.",
            "Correct it, then run `dbt build`.",
        ) from None
    if not isinstance(project, dict):
        raise refusal(
            "dbt project", "project-unreadable", f"{path} has no settings.", "Correct it."
        )
    return project


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise refusal(
            "dbt artifacts", "artifacts-missing", f"{path} does not exist: dbt has not run.", BUILD
        ) from None
    except (OSError, ValueError) as error:
        raise refusal(
            "dbt artifacts", "manifest-unreadable", f"{path} is not readable JSON: {error}.", BUILD
        ) from None
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    metadata = metadata if isinstance(metadata, dict) else {}
    version = metadata.get("dbt_schema_version")
    if version != MANIFEST_VERSION:
        raise refusal(
            "dbt artifacts",
            "manifest-version",
            f"{path} has schema {version}, and martfeast reads {MANIFEST_VERSION}.",
            "Run `dbt build` with dbt 1.11.",
        )
    if not isinstance(manifest.get("nodes"), dict) or "generated_at" not in metadata:
        raise refusal(
            "dbt artifacts", "manifest-unreadable", f"{path} is not a whole manifest.", BUILD
        )
    return dict(manifest)


def _find_stale(artifacts: Artifacts, folders: list[Path]) -> list[Problem]:
    """Compare the project's files with the manifest.

    A model's SQL is compared by content, with dbt's own checksum. The other files have no checksum
    in the manifest: they are compared by time of change, and must not be gone.
    """
    manifest = artifacts.manifest
    changed = {}
    known = set()
    for kind in ("sources", "exposures", "groups", "macros", "unit_tests"):
        for node in manifest.get(kind, {}).values():
            if node["package_name"] == manifest["metadata"]["project_name"]:
                name = node["original_file_path"]
                if not (artifacts.project_dir / name).exists():
                    changed[name] = "This file is gone."
    nodes = list(manifest["nodes"].values())
    nodes += [node for versions in manifest.get("disabled", {}).values() for node in versions]
    for node in nodes:
        if node["resource_type"] != "model":
            continue
        name = artifacts.file_of(node["package_name"], node["original_file_path"])
        path = artifacts.project_dir / name
        known.add(path)
        try:
            # As dbt does it: sha256 of the stripped text.
            content = path.read_bytes().decode("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            changed[name] = "This model is gone or unreadable."
            continue
        if hashlib.sha256(content.encode()).hexdigest() != node["checksum"]["checksum"]:
            changed[name] = "This model has changed since dbt last read the project."
    generated_at = datetime.fromisoformat(manifest["metadata"]["generated_at"]).timestamp()
    candidates = [artifacts.project_dir / "dbt_project.yml"]
    for folder in folders:
        candidates += folder.rglob("*")
    suffixes = (".sql", ".yml", ".yaml", ".csv", ".md")
    for path in candidates:
        if path.suffix not in suffixes or path in known or not path.is_file():
            continue
        if path.stat().st_mtime > generated_at:
            name = str(path.relative_to(artifacts.project_dir))
            changed[name] = "This file is newer than dbt's last reading of the project."
    return [
        Problem("dbt artifacts", "manifest-stale", message, BUILD, file=name)
        for name, message in sorted(changed.items())
    ]
