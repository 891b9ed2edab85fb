"""The YAML of a model as a mart: contract, entity keys, knowledge time, tests, columns."""

from collections.abc import Iterator

from martfeast.adopting.candidates import Candidate, entity_name
from martfeast.adopting.yaml_text import flow
from martfeast.feature_types import cast_to, feature_type
from martfeast.from_dbt.node import Column

# What only the owner can say.
ROW, UNIT, OWNER, TYPE = (
    "<what a row is>",
    "<with its unit>",
    "<who answers for it>",
    "<as in the warehouse>",
)


def example(one: Candidate) -> str:
    """Return a candidate's YAML to paste, as far as it can be known; what is not is in <>."""
    head = f"# {one.model.alias} as a mart, to paste into {_file(one)}."
    return _text([f"{head} Check what is after a #, and <>.", *_lines(one)])


def scaffold_yaml(one: Candidate) -> str:
    """Return a candidate's YAML that dbt can read; what is not known is a comment."""
    unknown = tuple(f": {words}" for words in (ROW, UNIT, OWNER, TYPE))
    lines = []
    for line in _lines(one):
        content = line.lstrip()
        indent = line[: len(line) - len(content)]
        lines.append(f"{indent}# {content}" if line.endswith(unknown) else line)
    return _text(lines)


def _lines(one: Candidate) -> Iterator[str]:
    model = one.model
    yield from (
        "models:",
        f"  - name: {model.name}",
        f"    description: {_line(model.description) or ROW}",
        "    config:",
        f"      group: {model.sharing.group or OWNER}",
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
    )
    for name, column in model.columns.items():
        yield from _column(one, name, column)


def _column(one: Candidate, name: str, column: Column) -> Iterator[str]:
    type_ = column.data_type or TYPE
    is_kept = not column.data_type or feature_type(column.data_type) is not None
    yield f"      - name: {flow(name)}"
    yield f"        data_type: {type_}" + ("" if is_kept else f"  # cast it to {cast_to(type_)}")
    yield f"        description: {_line(column.description) or UNIT}"
    if name in one.keys:
        entity = f"{{meta: {{feast: {{entity: {entity_name(name)}}}}}}}"
        yield f"        config: {entity}  # what the row is about"
    if name in (*one.keys, one.time):
        yield "        data_tests: [not_null]"


def _text(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _file(one: Candidate) -> str:
    patch = one.model.written.patch_path
    if patch:
        return patch.split("://", 1)[1]
    return f"a YAML file beside {one.model.written.original_file_path}"


def _line(text: str) -> str:
    """Return a text as a YAML scalar on one line; '' if it is empty."""
    return flow(" ".join(text.split())) if text.strip() else ""
