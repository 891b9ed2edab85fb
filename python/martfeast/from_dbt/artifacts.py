"""Reads what dbt left behind: the project file and the manifest, and whether they still agree."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from martfeast.causes import cause_of
from martfeast.from_dbt.checksums import replay_checksum
from martfeast.from_dbt.dbt_project import DbtProject, ProjectLike, as_dbt_project
from martfeast.from_dbt.graph import Graph, read_graph
from martfeast.from_dbt.node import Exposure, Node, Source
from martfeast.from_dbt.staleness import find_stale
from martfeast.places import Place
from martfeast.problems import DeclarationError, refusal
from martfeast.version import DBT_PACKAGE, VERSION, package_version

DEFAULT_PUBLISHED_PATH = "data/published"


@dataclass(frozen=True)
class Artifacts:
    """A dbt project as of its last dbt command.

    project_dir: the folder of dbt_project.yml, absolute. target_path: that of dbt's artifacts,
    absolute. dbt_project: with the options that dbt is to be run with. target: the one whose marts
    feed Feast; None where nothing names one. graph: what the manifest says.
    published_path: the folder of the published marts, absolute.
    packages_path: the folder of installed dbt packages, absolute.
    settings: the project's variables for martfeast. variables: all others.
    """

    project_dir: Path
    target_path: Path
    dbt_project: DbtProject
    target: str | None
    graph: Graph
    published_path: Path
    packages_path: Path
    settings: dict[str, Any]
    variables: dict[str, Any]

    @property
    def evidence_schema(self) -> str:
        """The schema in which the dbt package notes what dbt ran."""
        return evidence_schema_of(self.settings)

    @property
    def datasets_path(self) -> Path:
        """The folder for datasets: variable ``datasets_path``, or beside what is published."""
        return find_datasets_path(self.project_dir, self.published_path, self.settings)

    def replay_checksum(self, unique_id: str) -> str:
        """Return the MD5 of what a replay of a relation depends on, its rows left out."""
        return replay_checksum(self.graph, self.variables, unique_id)

    def file_of(self, package: str, path: str) -> str:
        """Return a dbt package's file, relative to the project."""
        if package == self.graph.project_name:
            return path
        return os.path.relpath(self.packages_path / package / path, self.project_dir)

    def file_of_node(self, node: Node) -> str:
        """Return the file that a node is written in, relative to the project."""
        return self.file_of(node.written.package_name, node.written.original_file_path)

    def place(self, node: Node) -> Place:
        """Return where a node is described in YAML, or else its own file."""
        if isinstance(node, Source):
            tables = (("sources", node.source_name), ("tables", node.name))
            return Place(self.project_dir, self.file_of_node(node), tables)
        steps = ((f"{node.resource_type}s", node.name),)
        if isinstance(node, Exposure):
            return Place(self.project_dir, self.file_of_node(node), steps)
        if node.written.patch_path:
            file = self.file_of(*node.written.patch_path.split("://", 1))
            return Place(self.project_dir, file, steps)
        return Place(self.project_dir, self.file_of_node(node))


def read_artifacts(dbt_project: ProjectLike, target_path: str | None = None) -> Artifacts:
    """Read a dbt project's artifacts from any working directory.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: the folder with manifest.json; by default what dbt itself would use, the
            environment variable DBT_TARGET_PATH, or else ``target-path`` of the project, or else
            ``target``. Relative paths are relative to the project.

    Raises:
        DeclarationError: there is no project here, dbt never ran, its manifest cannot be read, the
            project uses another version of this dbt package, or its files are not as the manifest
            describes them: what an outdated manifest says of the rest would mislead.

    """
    artifacts, project = _read(as_dbt_project(dbt_project, target_path))
    graph = artifacts.graph
    models = {
        artifacts.file_of_node(model): model.code.checksum or ""
        for model in [*graph.models.values(), *graph.disabled]
        if model.resource_type == "model"
    }
    name, target = graph.project_name, artifacts.target_path
    stale = find_stale(artifacts.project_dir, project, name, target, models)
    if stale:
        raise DeclarationError(stale)
    return artifacts


def read_settings(dbt_project: ProjectLike) -> tuple[Path, dict[str, Any]]:
    """Return the folder that a project publishes to, absolute, and its variables for martfeast.

    Neither needs a manifest.

    Raises:
        DeclarationError: there is no project here, or it uses another version of this dbt package,
            or it does not say where it publishes to.

    """
    dbt = as_dbt_project(dbt_project)
    project_dir = dbt.folder.resolve()
    project = _read_project(project_dir)
    _require_same_version(_packages_path(project_dir, project))
    settings = _settings(project, dbt)
    return _published_path(project_dir, settings, _target(settings, dbt)), settings


def evidence_schema_of(settings: dict[str, Any]) -> str:
    """Return the schema of the evidence, by a project's variables for martfeast."""
    return str(settings.get("evidence_schema") or "martfeast")


def find_datasets_path(project_dir: Path, published_path: Path, settings: dict[str, Any]) -> Path:
    """Return the folder for datasets, absolute, by a project's variables for martfeast."""
    named = settings.get("datasets_path") or published_path.parent / "datasets"
    return (project_dir / str(named)).resolve()


def _read(dbt: DbtProject) -> tuple[Artifacts, dict[str, Any]]:
    project_dir = dbt.folder.resolve()
    project = _read_project(project_dir)
    packages_path = _packages_path(project_dir, project)
    _require_same_version(packages_path)
    target_path = dbt.target_path or os.environ.get("DBT_TARGET_PATH") or project.get("target-path")
    target_folder = project_dir / str(target_path or "target")
    settings = _settings(project, dbt)
    target = _target(settings, dbt)
    variables = project.get("vars")
    artifacts = Artifacts(
        project_dir=project_dir,
        target_path=target_folder,
        dbt_project=dbt,
        target=target,
        graph=read_graph(target_folder / "manifest.json"),
        published_path=_published_path(project_dir, settings, target),
        packages_path=packages_path,
        settings=settings,
        variables={
            name: value
            for name, value in {
                **(variables if isinstance(variables, dict) else {}),
                **dbt.variables,
            }.items()
            if name != "martfeast"
        },
    )
    return artifacts, project


def _packages_path(project_dir: Path, project: dict[str, Any]) -> Path:
    return project_dir / str(project.get("packages-install-path") or "dbt_packages")


def _require_same_version(packages_path: Path) -> None:
    installed = package_version(packages_path / DBT_PACKAGE / "dbt_project.yml")
    if installed not in (None, VERSION):
        raise refusal(
            f"dbt package {DBT_PACKAGE}",
            "package-version",
            f"{packages_path / DBT_PACKAGE} is version {installed}, and the Python package is"
            f" {VERSION}: what one of them writes the other may misread.",
            "Run `dbt deps`, then `dbt build`; or install the Python package of that version.",
        )


def _settings(project: dict[str, Any], dbt: DbtProject) -> dict[str, Any]:
    """Return the variables of this package: those of --vars hold for every package."""
    variables = project.get("vars")
    scoped = variables.get("martfeast") if isinstance(variables, dict) else None
    return {**(scoped if isinstance(scoped, dict) else {}), **dbt.variables}


def _target(settings: dict[str, Any], dbt: DbtProject) -> str | None:
    """Return the target that is asked for, or else the one that the project says feeds Feast."""
    declared = settings.get("target")
    return dbt.target_asked_for or (str(declared) if declared else None)


def _published_path(project_dir: Path, settings: dict[str, Any], target: str | None) -> Path:
    """Return where a target publishes to: one path for all, or a path by target."""
    named = settings.get("published_path") or DEFAULT_PUBLISHED_PATH
    if not isinstance(named, dict):
        return local_folder(project_dir, str(named))
    if target is None and len(named) == 1:
        (target,) = named
    if target not in named:
        said = f"target {target} is not in it" if target else "nothing says which of them is meant"
        raise refusal(
            "vars.martfeast.published_path",
            "target-unknown",
            f"It has paths for targets {', '.join(map(str, named))}, and {said}.",
            "Name the target that feeds Feast, in vars.martfeast.target or by --target.",
        )
    return local_folder(project_dir, str(named[target]))


def local_folder(project_dir: Path, named: str) -> Path:
    """Return a folder that is named by a path, relative to the project, or by a URI.

    Raises:
        DeclarationError: the URI is of an object store.

    """
    named = named.removeprefix("file://")
    if "://" not in named:
        return project_dir / named
    raise refusal(
        "vars.martfeast.published_path",
        "not-a-folder",
        f"{named} is not on a file system: a release begins to hold by one rename under a lock, and"
        " an object store has neither.",
        "Name a folder (a path, or file:///...), on a disk that is shared if several machines read"
        " it.",
    )


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
            cause=cause_of(error),
        ) from None
    if not isinstance(project, dict):
        raise refusal(
            "dbt project", "project-unreadable", f"{path} has no settings.", "Correct it."
        )
    return project
