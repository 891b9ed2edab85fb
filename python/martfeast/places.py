"""Where something is written in a dbt YAML file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

# A step down into YAML: a key of a mapping, or the list item with this name.
Step = str | tuple[str, str]


@dataclass(frozen=True)
class Place:
    """A place in a dbt project: a file, and the way down in it if it is YAML.

    project_dir: the folder the file is in, absolute. file: relative to it; None when unknown.
    """

    project_dir: Path
    file: str | None
    steps: tuple[Step, ...] = ()

    def at(self, *steps: Step) -> "Place":
        """Return a place further down."""
        return Place(self.project_dir, self.file, self.steps + steps)

    @property
    def line(self) -> int | None:
        """The line of this place, from 1, or of the nearest place above it that is in the file."""
        if self.file is None or not self.steps:
            return None
        return find_line(self.project_dir / self.file, list(self.steps))


def find_line(file: Path, steps: list[Step]) -> int | None:
    """Return the line (from 1) of the deepest of the steps that the file has.

    Args:
        file: a YAML file.
        steps: the way down from the top. ``"config"`` is the key of a mapping;
            ``("columns", "age")`` is the item named ``age`` in the list under the key ``columns``.

    Returns:
        The line of the key, or of the list item; None when the file cannot be read as YAML or does
        not even have the first step.

    """
    node = _compose(file)
    line = None
    for step in steps:
        key = step if isinstance(step, str) else step[0]
        found = _entry(node, key)
        if found is None:
            if step == "config":  # `meta` may also stand beside `config` instead of under it
                continue
            break
        key_node, node = found
        if isinstance(step, tuple):
            items = node.value if isinstance(node, yaml.SequenceNode) else []
            named = (item for item in items if _is_named(item, step[1]))
            item = next(named, None)
            if item is None:
                break
            key_node = node = item
        line = int(key_node.start_mark.line) + 1
    return line


def _compose(file: Path) -> yaml.Node | None:
    try:
        return _composed(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


@lru_cache(maxsize=64)
def _composed(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _entry(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == key:
                return key_node, value_node
    return None


def _is_named(item: yaml.Node, name: str) -> bool:
    entry = _entry(item, "name")
    return entry is not None and bool(entry[1].value == name)
