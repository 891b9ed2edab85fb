"""The contract and columns of a model that is built, as YAML: printed, or written beside it."""

from pathlib import PurePosixPath

from martfeast.adopting.candidates import as_candidate
from martfeast.adopting.edits import Edit, read_text, write
from martfeast.adopting.mart_yaml import scaffold_yaml
from martfeast.adopting.report import why_not
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.from_dbt.node import Model
from martfeast.problems import did_you_mean, refusal
from martfeast.running_dbt.columns import read_columns


def scaffold(project: ProjectLike, name: str, writes: bool = False) -> str:
    """Return the YAML of a model as a mart: contract, entities, knowledge time, tests, columns.

    Columns and types are those that it has in the warehouse; what its YAML says already is kept.

    Args:
        project: the dbt project, parsed; the model is to be built.
        name: the model's.
        writes: write it beside the model, as ``<name>.yml``, where no YAML describes it yet.

    Returns:
        The YAML; or, if it is written, the file, relative to the project.

    Raises:
        DeclarationError: there is no such model, it is not built, it lacks a key or a time, or it
            has YAML that would be in the way; nothing was written then.

    """
    artifacts = read_artifacts(project)
    model = _model(artifacts, name)
    file = str(PurePosixPath(model.written.original_file_path).with_suffix(".yml"))
    if writes:
        _refuse_described(artifacts, model, file)
    candidate = as_candidate(artifacts.graph, model, read_columns(artifacts, model))
    if not candidate.is_suitable:
        fix = "Give the model such a column, then run this again."
        raise refusal(model.alias, "not-a-mart", " ".join(why_not(candidate)), fix)
    text = scaffold_yaml(candidate)
    if not writes:
        return text
    write([Edit(artifacts.project_dir, file, None, text)])
    return file


def _model(artifacts: Artifacts, name: str) -> Model:
    graph = artifacts.graph
    own = {
        one.name: one
        for one in graph.models.values()
        if one.resource_type == "model" and one.written.package_name == graph.project_name
    }
    if name not in own:
        advice = did_you_mean(name, own, "Name a model of the project; `dbt parse` finds new ones.")
        raise refusal(name, "model-unknown", f"There is no model '{name}'.", advice)
    return own[name]


def _refuse_described(artifacts: Artifacts, model: Model, file: str) -> None:
    patch = (model.written.patch_path or "").partition("://")[2]
    there = patch or (file if read_text(artifacts.project_dir, file) is not None else "")
    if there:
        message = f"{there} is there already, and nothing is written into it."
        fix = f"Run `martfeast scaffold {model.name}`, and add what is missing by hand."
        raise refusal(model.alias, "yaml-is-there", message, fix)
