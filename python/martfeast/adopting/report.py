"""Says what is to be written into a project, which models could be marts, and what comes next."""

import json
import os
import re

from martfeast.adopting.candidates import Candidate, entity_name, find_candidates
from martfeast.adopting.plan import Plan
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.gate.report import wrapped
from martfeast.problems import DeclarationError

_AS_IT_IS = re.compile(r"[\w][\w .()\[\]]*")

NEXT_STEPS = """\
Next: `dbt deps`; give a mart its meta.feast; `dbt build`; `martfeast status`; `martfeast replay`;
`feast -c feature_repo apply`. docs/adopting.md goes that way with an example."""


def diffs(plan: Plan) -> str:
    """Return what would change, as one unified diff."""
    return "\n".join(edit.diff() for edit in plan.edits)


def notes(plan: Plan) -> str:
    """Return what was left as it is, for the project's owner to decide; '' if nothing was."""
    return "\n".join(f"note: {note}" for note in plan.notes)


def candidates_report(dbt_project: str | os.PathLike[str]) -> str:
    """Return which models of a project could be marts, what each lacks, and one as YAML.

    Args:
        dbt_project: the folder with dbt_project.yml. What dbt says of it need not be there: then
            the report says how to get it.

    """
    try:
        artifacts = read_artifacts(dbt_project)
    except DeclarationError as error:
        first = error.problems[0]
        said = f"{first.file}: {first.message}" if first.file else first.message
        again = "Run `dbt deps` and `dbt parse` first, then `martfeast init` again."
        return wrapped(f"Which models could be marts cannot be said. {said} {again}")
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
    if found and found[0].is_suitable:
        parts.append(_example(found[0]))
    return "\n\n".join(parts)


def _in_words(one: Candidate) -> str:
    keys = ", ".join(one.keys)
    if one.is_suitable:
        head = f"{one.model.alias} could be a mart: {one.why}, with key {keys} and time {one.time}."
        lines = [f"  [{problem.rule}] {problem.message} {problem.fix}" for problem in one.missing]
        return "\n".join([head, *(lines or ["  Nothing is missing but meta.feast."])])
    head = f"{one.model.alias} cannot be a mart yet: {one.why},"
    if not one.model.columns:
        return f"{head} and no column of it is described. Describe its columns in its YAML."
    lines = []
    if not one.keys:
        lines.append("  No described column looks like a key, such as customer_id.")
    if not one.time:
        lines.append(
            "  No described column looks like the time when a row became known, such as known_at."
            " A row that is overwritten has no past: give the model a row for every change."
        )
    return "\n".join([f"{head} and this is missing:", *lines])


def _example(one: Candidate) -> str:
    """Return a candidate's YAML as it would have to be, as far as it can be known."""
    model = one.model
    lines = [
        f"As a mart, {model.alias} would look like this in its YAML"
        f" ({_file(one)}); # marks what to check:",
        "",
        "models:",
        f"  - name: {model.name}",
        f"    description: {_text(model.description) or '<what a row is>'}",
        "    config:",
        f"      group: {model.sharing.group or '<who answers for it>'}",
        "      access: public",
        "      contract: {enforced: true}",
        f"      event_time: {one.time}  # when what is in a row could first be known, UTC",
        "      meta:",
        "        feast:",
        f"          timestamp: {one.time}",
        "          # ttl: 30 days  # how long a row holds; for ever without",
        "    data_tests:",
        "      - martfeast.unique_grain:",
        f"          arguments: {{columns: [{', '.join([*one.keys, str(one.time)])}]}}",
        "    columns:",
    ]
    for name, column in model.columns.items():
        lines += [
            f"      - name: {name}",
            f"        data_type: {column.data_type or '<as in the warehouse>'}",
            f"        description: {_text(column.description) or '<with its unit>'}",
        ]
        if name in one.keys:
            lines.append(
                f"        config: {{meta: {{feast: {{entity: {entity_name(name)}}}}}}}"
                "  # what the row is about"
            )
        if name in (*one.keys, one.time):
            lines.append("        data_tests: [not_null]")
    return "\n".join(lines)


def _file(one: Candidate) -> str:
    patch = one.model.written.patch_path
    return patch.split("://", 1)[1] if patch else one.model.written.original_file_path


def _text(text: str) -> str:
    """Return a text as a YAML scalar on one line."""
    line = " ".join(text.split())
    return line if _AS_IT_IS.fullmatch(line) or not line else json.dumps(line, ensure_ascii=False)
