"""Says which models could be marts, what each lacks, and how one would look."""

from collections.abc import Iterator
from dataclasses import dataclass

from martfeast.adopting.candidates import Candidate, entity_name, find_candidates
from martfeast.adopting.yaml_text import flow
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
    example = _example(found[0]) if found and found[0].is_suitable and not has_mart else None
    return Report("\n\n".join(parts), example)


def _in_words(one: Candidate) -> str:
    name = one.model.alias
    if one.is_suitable:
        keys = ", ".join(one.keys)
        head = f"{name} could be a mart: {one.why}, with key {keys} and time {one.time}."
        lines = _missing(one) or ["Nothing is missing but meta.feast."]
    else:
        head = f"{name} cannot be a mart yet: {one.why}."
        lines = list(_why_not(one))
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


def _why_not(one: Candidate) -> Iterator[str]:
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


def _example(one: Candidate) -> str:
    """Return a candidate's YAML as it would have to be, as far as it can be known."""
    model = one.model
    lines = [
        f"# {model.alias} as a mart, to paste into {_file(one)}. Check what is after a #, and <>.",
        "models:",
        f"  - name: {model.name}",
        f"    description: {_line(model.description) or '<what a row is>'}",
        "    config:",
        f"      group: {model.sharing.group or '<who answers for it>'}",
        "      access: public",
        "      contract: {enforced: true}",
        f"      event_time: {flow(one.time)}  # when what is in a row could first be known, UTC",
        "      meta:",
        "        feast:",
        f"          timestamp: {flow(one.time)}",
        "          # ttl: 30 days  # how long a row holds; for ever without",
        "    data_tests:",
        "      - martfeast.unique_grain:",
        f"          arguments: {flow({'columns': [*one.keys, one.time]})}",
        "    columns:",
    ]
    for name, column in model.columns.items():
        lines += [
            f"      - name: {flow(name)}",
            f"        data_type: {column.data_type or '<as in the warehouse>'}",
            f"        description: {_line(column.description) or '<with its unit>'}",
        ]
        if name in one.keys:
            lines.append(
                f"        config: {{meta: {{feast: {{entity: {entity_name(name)}}}}}}}"
                "  # what the row is about"
            )
        if name in (*one.keys, one.time):
            lines.append("        data_tests: [not_null]")
    return "".join(f"{line}\n" for line in lines)


def _file(one: Candidate) -> str:
    patch = one.model.written.patch_path
    if patch:
        return patch.split("://", 1)[1]
    return f"a YAML file beside {one.model.written.original_file_path}"


def _line(text: str) -> str:
    """Return a text as a YAML scalar on one line; '' if it is empty."""
    return flow(" ".join(text.split())) if text.strip() else ""
