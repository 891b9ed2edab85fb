"""The two states of a project that are compared: as it is, and as it was at a base."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from martfeast.causes import Cause, cause_said
from martfeast.declaration.declared import Declaration
from martfeast.declaration.project import declare
from martfeast.files import temporary_folder
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.from_dbt.checksums import code_checksum, replay_checksum
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.from_dbt.graph import Graph, read_graph
from martfeast.lineage.columns import ColumnLineage, trace_columns
from martfeast.problems import DeclarationError, ProblemLog, refusal
from martfeast.published.release import Release, read_release


@dataclass(frozen=True)
class Side:
    """A project in one state. name: of the state, for people. artifacts: its own, compiled."""

    name: str
    artifacts: Artifacts
    declaration: Declaration
    release: Release

    @property
    def graph(self) -> Graph:
        """What dbt says of it, with compiled SQL."""
        return self.artifacts.graph

    @cached_property
    def lineage(self) -> ColumnLineage:
        """Where its columns come from."""
        return trace_columns(self.graph)

    def code(self, unique_id: str) -> dict[str, str]:
        """Return checksums of all that makes a relation, by unique_id, its seeds' rows too."""
        return {one: self._code(one) for one in self.graph.upstream(unique_id)}

    def _code(self, unique_id: str) -> str:
        variables = self.artifacts.variables
        model = self.graph.models.get(unique_id)
        rows = model.code.checksum if model and model.resource_type == "seed" else ""
        return f"{replay_checksum(self.graph, variables, unique_id)} {rows}"


def read_head(dbt_project: DbtProject) -> Side:
    """Read a project as it is now. dbt compiles it: a last command may have built increments.

    Raises:
        DeclarationError: the project cannot be read or compiled, or what it declares is wrong.

    """
    artifacts = read_artifacts(dbt_project)
    with temporary_folder("changes") as folder:
        graph = _compile(dbt_project, Path(folder))
    return _declared("this", replace(artifacts, graph=graph))


@contextmanager
def read_base(dbt_project: DbtProject, head: Side, base: str) -> Iterator[Side]:
    """Read the state that a project is compared with.

    Args:
        dbt_project: the project, and dbt's options.
        head: as it is now.
        base: a folder with manifest.json and run_results.json, best of `dbt compile
            --full-refresh`, or a git ref.

    Raises:
        DeclarationError: it is neither, or cannot be read, or what it declares is wrong.

    """
    for folder in (Path(base), dbt_project.folder / base):
        if (folder / "manifest.json").exists():
            graph = read_graph(folder / "manifest.json")
            if graph.project_name != head.graph.project_name:
                message = f"{folder} has the manifest of {graph.project_name}."
                raise refusal("--base", "base-of-another", message, "Name this project's own.")
            if not _is_full_refresh(folder):
                graph = _without_increments(graph, head.graph)
            yield _declared(base, replace(head.artifacts, graph=graph))
            return
    with temporary_folder("changes") as name:
        yield _check_out(dbt_project, head, base, Path(name))


def _check_out(dbt_project: DbtProject, head: Side, base: str, folder: Path) -> Side:
    """Read a project as of a git ref, out of files of its own."""
    project_dir = head.artifacts.project_dir
    prefix = _git(project_dir, "rev-parse", "--show-prefix", base=base).strip()
    top = Path(_git(project_dir, "rev-parse", "--show-toplevel", base=base).strip())
    commit = _git(project_dir, "rev-parse", "--verify", f"{base}^{{commit}}", base=base).strip()
    archive = folder / "base.tar"
    _git(top, "archive", "--output", str(archive), commit, base=base)
    shutil.unpack_archive(archive, folder / "base", filter="data")
    there = (folder / "base" / prefix).resolve()
    if not (there / "dbt_project.yml").exists():
        raise refusal(
            "--base", "base-unknown", f"At {base} there is no dbt project.", "Name a later ref."
        )
    project = replace(dbt_project, folder=there, target_path=str(there / "target"))
    if (there / "packages.yml").exists() or (there / "dependencies.yml").exists():
        _dbt(project, base, [sys.executable, "-m", "dbt.cli.main", "--quiet", "deps"])
    _compile(project, there / "target", base)
    return _declared(base, read_artifacts(project))


def published_as(side: Side, published_path: Path) -> Side:
    """Return a state with what it published.

    Raises:
        DeclarationError: the release in that folder cannot be read.

    """
    log = ProblemLog()
    release = read_release(published_path.resolve(), log)
    if log.problems:
        raise DeclarationError(log.problems)
    return replace(side, release=release)


def _declared(name: str, artifacts: Artifacts) -> Side:
    log = ProblemLog()
    release = read_release(artifacts.published_path, ProblemLog())
    project = declare(artifacts, release, log)
    if log.problems:
        raise DeclarationError(log.problems)
    return Side(name, artifacts, project.declaration, release)


def _compile(project: DbtProject, target: Path, base: str = "") -> Graph:
    """Compile a project, and return its graph."""
    target.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-m", "martfeast.replay.compile_project", str(target.resolve())]
    _dbt(project, base, [*program, *project.arguments])
    return read_graph(target / "manifest.json")


def _dbt(project: DbtProject, base: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())[-600:]
        where = f"at {base}" if base else "as it is"
        message = f"dbt cannot compile the project {where}: {said}"
        raise refusal("dbt project", "not-compiled", message, "Mend it.", cause=cause_said(said))


def _git(folder: Path, *arguments: str, base: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        done = subprocess.CompletedProcess([], 1, "", "git is not installed")
    if done.returncode != 0:
        raise refusal(
            "--base",
            "base-unknown",
            f"{base} is no folder with a manifest.json, and no git ref:"
            f" {' '.join(done.stderr.split())}.",
            "Name a branch or a commit, or a folder to which `dbt compile --full-refresh"
            " --target-path` wrote.",
            cause=Cause.USAGE,
        )
    return done.stdout


def _is_full_refresh(folder: Path) -> bool:
    """Tell whether the dbt command that wrote to a folder ran, or compiled, all models whole."""
    try:
        arguments = json.loads((folder / "run_results.json").read_bytes())["args"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(arguments.get("full_refresh"))


def _without_increments(graph: Graph, head: Graph) -> Graph:
    """Leave out the compiled SQL of incremental models: it may be that of a range.

    Of a model that is the same now, with all above it, the SQL of now is taken.
    """
    models = dict(graph.models)
    for unique_id, model in graph.models.items():
        if model.config.materialized != "incremental":
            continue
        is_same = unique_id in head.models and all(
            one in head.models and code_checksum(graph, one) == code_checksum(head, one)
            for one in graph.upstream(unique_id)
            if one in graph.models
        )
        compiled = head.models[unique_id].code.compiled if is_same else None
        code = model.code.model_copy(update={"compiled": compiled})
        models[unique_id] = model.model_copy(update={"code": code})
    return replace(graph, models=models)
