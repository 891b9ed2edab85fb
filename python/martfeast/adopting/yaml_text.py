"""Adds to YAML text without changing what is there: comments, order and layout stay."""

from typing import Any

import yaml

Entry = dict[str, Any] | list[Any]


class YamlTextError(ValueError):
    """The text is no YAML, or is written so that nothing can be added to it safely."""


def added(text: str, way: tuple[str, ...], entry: Entry) -> str:
    """Return YAML text with one more entry in one of its collections.

    Args:
        text: one YAML document, which may be empty.
        way: the keys from the top down to the collection; those that are missing are made.
        entry: ``{key: value}`` to add to a mapping, or ``[item]`` to add to a list.

    Raises:
        YamlTextError: the text is no YAML, or would not read as it did plus the entry.

    """
    before = load(text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        edited = _insert(text, root, way, entry)
        is_right = yaml.safe_load(edited) == _sum(before, way, entry)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise YamlTextError(" ".join(str(error).split())) from None
    if not is_right:
        raise YamlTextError("it is laid out in a way that cannot be added to")
    return edited


def with_value(text: str, old: str, new: str) -> str:
    """Return YAML text in which the scalars that read as ``old`` read as ``new``.

    Raises:
        YamlTextError: the text is no YAML.

    """
    try:
        tokens = [token for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken)]
    except yaml.YAMLError as error:
        raise YamlTextError(" ".join(str(error).split())) from None
    for token in reversed(tokens):
        if token.value == old:
            text = text[: token.start_mark.index] + flow(new) + text[token.end_mark.index :]
    return text


def load(text: str) -> Any:
    """Return what YAML text says.

    Raises:
        YamlTextError: the text is no YAML.

    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-02-30
        raise YamlTextError(" ".join(str(error).split())) from None


def _sum(data: Any, way: tuple[str, ...], entry: Entry) -> Any:
    if way:
        data = data or {}
        return {**data, way[0]: _sum(data.get(way[0]), way[1:], entry)}
    if isinstance(entry, list):
        return [*(data or []), *entry]
    return {**(data or {}), **entry}


def _insert(text: str, root: yaml.Node | None, way: tuple[str, ...], entry: Entry) -> str:
    if root is None:
        return _below(text, len(text), 0, _nested(way, entry))
    node, parent_column = root, -2
    for depth, key in enumerate(way):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((pair for pair in pairs if pair[0].value == key), None)
        if found is None:
            entry = _nested(way[depth:], entry)
            break
        parent_column, node = found[0].start_mark.column, found[1]
    start, end = node.start_mark.index, node.end_mark.index
    if not isinstance(node, yaml.CollectionNode) or not node.value:  # null, {} or []
        kept = text[:start].rstrip(" ")
        return _below(kept + text[end:], len(kept), parent_column + 2, entry)
    if node.flow_style:
        inner = text[: end - 1].rstrip()
        comma = "" if inner.endswith(",") else ","
        return f"{inner}{comma} {flow(entry)[1:-1]}{text[len(inner) :]}"
    return _below(text, _end(node), node.start_mark.column, entry)


def _nested(way: tuple[str, ...], entry: Entry) -> Entry:
    for key in reversed(way):
        entry = {key: entry}
    return entry


def _end(node: yaml.Node) -> int:
    """Return where the last thing in a block ends; the block's own end is after comments."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _below(text: str, index: int, column: int, entry: Entry) -> str:
    """Put an entry as a block on lines of its own, below the line that ends at or after index."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if index and text[index - 1] != "\n":
        line_end = text.find("\n", index)
        if line_end < 0:
            text += newline
            line_end = len(text) - 1
        index = line_end + 1
    dumped = yaml.dump(entry, Dumper=_Indented, sort_keys=False, width=10_000, allow_unicode=True)
    block = "".join(" " * column + line + newline for line in dumped.splitlines())
    return text[:index] + block + text[index:]


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return dumped.removesuffix("...\n").strip()


class _Indented(yaml.SafeDumper):
    """Writes lists as dbt's own files have them: further in than their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent, lists too."""
        super().increase_indent(flow, False)
