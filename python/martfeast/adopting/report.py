"""Says which models could be marts, what each lacks, and how one would look."""

from collections.abc import Iterator
from dataclasses import dataclass

from martfeast.adopting.candidates import Candidate, find_candidates
from martfeast.adopting.mart_yaml import example
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.from_dbt.node import feast_meta
from martfeast.gate.report import wrapped
from martfeast.problems import DeclarationError


@dataclass(frozen=True)
class Report:
    """What is said of the models of a project that could be marts.

    text: which they are and what each lacks. example: the YAML of one as it would have to be; None
    if none is suitable, or if the project has a mart already.
    """

    text: str
    example: str | None = None


def candidates_report(project: ProjectLike) -> Report:
    """Return which models of a project could be marts, what each lacks, and one as YAML.

    Args:
        project: the dbt project. What dbt says of it need not be there: then the report says how
            to get it.

    """
    try:
        artifacts = read_artifacts(project)
    except DeclarationError as error:
        first = error.problems[0]
        said = f"{first.file}: {first.message}" if first.file else first.message
        again = "Run `dbt deps` and `dbt parse` first, then `martfeast init` again."
        return Report(wrapped(f"Which models could be marts cannot be said. {said} {again}"))
    found = find_candidates(artifacts)
    parts = [wrapped(_in_words(one)) for one in found]
    if not found:
        none = (
            "No model could be a mart: none is a table or incremental model that is under marts/"
            " or that no other model reads, and has no meta.feast yet."
        )
        parts.append(wrapped(none))
    adapter = artifacts.graph.adapter_type
    if adapter != "duckdb":
        parts.append(f"note: this project runs on {adapter}, and martfeast publishes from DuckDB.")
    has_mart = any(feast_meta(model)[0] for model in artifacts.graph.models.values())
    shown = example(found[0]) if found and found[0].is_suitable and not has_mart else None
    return Report("\n\n".join(parts), shown)


def _in_words(one: Candidate) -> str:
    name = one.model.alias
    if one.is_suitable:
        keys = ", ".join(one.keys)
        head = f"{name} could be a mart: {one.why}, with key {keys} and time {one.time}."
        lines = _missing(one) or ["Nothing is missing but meta.feast."]
    else:
        head = f"{name} cannot be a mart yet: {one.why}."
        lines = list(why_not(one))
    return "\n".join([head, *(f"  {line}" for line in lines)])


def _missing(one: Candidate) -> list[str]:
    """Return what the gate finds amiss; what is amiss in many columns on one line."""
    columns: dict[tuple[str, str], list[str]] = {}
    for problem in one.missing:
        said = columns.setdefault((problem.rule, f"{problem.message} {problem.fix}"), [])
        said.append(problem.subject.removeprefix(one.model.alias).removeprefix("."))
    return [
        f"[{rule}] {', '.join(names) + ': ' if any(names) else ''}{text}"
        for (rule, text), names in columns.items()
    ]


def why_not(one: Candidate) -> Iterator[str]:
    """Yield what a model lacks to be a mart: known columns, a key, a time; in sentences."""
    if not one.model.columns:
        yield "No column of it is known. Describe them in its YAML, or run `dbt docs generate`."
    elif not one.keys and one.sole_key:
        yield (
            f"{one.sole_key} is unique, so there is one row for each, and a row that is overwritten"
            " has no past. Make a model with a row for every change, and the time of it."
        )
    elif not one.keys:
        yield "No known column looks like a key, such as customer_id."
    if one.model.columns and not one.time:
        yield "No known column looks like the time when a row became known, such as known_at."
