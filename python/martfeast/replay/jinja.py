"""Reads Jinja for what makes a build's SQL another than the last one's: clocks, and queries."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from jinja2 import TemplateError, meta, nodes

CLOCK, QUERY, UNREAD, BY_BUILD = "clock-read", "query-when-compiled", "jinja-unread", "by-build"
# Names in dbt's context, by what they tell.
RULES = {
    **dict.fromkeys(["run_started_at", "invocation_id", "thread_id", "lipsum"], CLOCK),
    **dict.fromkeys(["run_query", "statement", "load_result"], QUERY),
    **dict.fromkeys(["load_relation", "load_cached_relation"], QUERY),
    **dict.fromkeys(["context", "builtins", "render"], UNREAD),
    **dict.fromkeys(["invocation_args_dict", "flags", "selected_resources"], BY_BUILD),
}
QUOTING = ("quote", "quote_as_configured")
# Of these some parts are still, and the whole could be anything.
STILL_PARTS = {
    "modules": (CLOCK, ["re", "itertools", "pytz"]),
    # What an adapter answers without its database, or of the columns alone.
    "adapter": (QUERY, [*QUOTING, "dispatch", "type", "convert_type", "get_columns_in_relation"]),
}
# To be called; a part of one may be all that dbt has in memory.
CALLED = {
    "ref": [],
    "source": [],
    "function": [],
    "var": ["has_var"],
    "config": ["get", "set", "require", "meta_get", "meta_require"],
}
# What they hold is still but for the moments that these parts of it have.
HOLDERS = {
    **dict.fromkeys(["modules.datetime"], frozenset(["now", "utcnow", "today"])),
    **dict.fromkeys(["graph", "model"], frozenset(["created_at", "generated_at"])),
}
# Through these, anything in dbt's context can be named.
CONTEXTS = frozenset(["context", "builtins"])
# What is said to them is not of the SQL.
SAYS = frozenset(["log", "print"])


@dataclass(frozen=True)
class JinjaRead:
    """Something that Jinja reads: by which rule, in which words, in which line of the text."""

    rule: str
    words: str
    line: int


@dataclass(frozen=True)
class _Text:
    """What one text reads.

    names: of dbt's context, or of macros and packages, and of what is taken of these. parts: all
    that is taken of anything. unknown: names of which a part is taken whose own name is computed,
    or the whole.
    """

    reads: tuple[JinjaRead, ...]
    names: frozenset[str]
    parts: frozenset[str]
    unknown: frozenset[str]


def jinja_reads(own: str, called: list[str]) -> list[JinjaRead]:
    """Return what a model's Jinja reads of when, how often and on which data it is rendered.

    Args:
        own: the model's text.
        called: the texts of the macros that it calls, and of the ephemeral models in it.

    Returns:
        First of its own text, by line; then of the others, which are in line 1. Clocks and chance
        (``clock-read``), answers of the database (``query-when-compiled``), what is named by a
        computed name or else cannot be told (``jinja-unread``), and what differs by the kind of
        build alone (``by-build``).

    """
    texts = [_read(text) for text in (own, *called)]
    parts = frozenset[str]().union(*(text.parts for text in texts))
    found = [replace(one, line=1) for text in texts[1:] for one in text.reads]
    return [
        one
        for one in (*texts[0].reads, *found)
        if one.words not in HOLDERS or not parts.isdisjoint(HOLDERS[one.words])
    ]


def names_used(text: str) -> frozenset[str]:
    """Return the names that Jinja takes of dbt's context, which may be those of macros."""
    return _read(text).names


def taken_whole(text: str) -> frozenset[str]:
    """Return the names of which Jinja takes the whole, or a part whose own name is computed."""
    return _read(text).unknown


@lru_cache(maxsize=1000)
def _read(text: str) -> _Text:
    from dbt_common.clients.jinja import get_environment  # takes most of a second to import

    try:
        tree = get_environment(None, capture_macros=False).parse(text)
        return _read_tree(tree)
    except (TemplateError, RecursionError) as error:
        words = str(getattr(error, "message", None) or error).split(".")[0]
        read = JinjaRead(UNREAD, words, getattr(error, "lineno", 1))
        return _Text((read,), frozenset(), frozenset(), frozenset())


def _read_tree(tree: nodes.Template) -> _Text:
    free = meta.find_undeclared_variables(tree) | {"lipsum"}  # Jinja's own, and no name of dbt's
    taken = list(_taken(tree))
    reads = [
        JinjaRead(*found, name.lineno)
        for name, part, is_called in taken
        if name.name in free and (found := _rule(name.name, part, is_called))
    ]
    reads += [
        JinjaRead(CLOCK, "random", node.lineno)
        for node in tree.find_all(nodes.Filter)
        if node.name == "random"
    ]
    parts = {node.attr for node in tree.find_all(nodes.Getattr)}
    parts |= {_text(node.arg) for node in tree.find_all(nodes.Getitem)}
    if any(node.name in ("attr", "map") for node in tree.find_all(nodes.Filter)):
        parts = parts.union(*HOLDERS.values())
    return _Text(
        tuple(sorted(reads, key=lambda one: one.line)),
        frozenset(one for name, part, _ in taken if name.name in free for one in (name.name, part)),
        frozenset(parts),
        frozenset(name.name for name, part, called in taken if not part and not called),
    )


def _rule(name: str, part: str, is_called: bool) -> tuple[str, str] | None:
    """Return the rule for a name, and the words to say it in; None if it is still.

    part: the part of it that is taken; '' if its name is computed, or the name is taken whole.
    is_called: whether the name is called.
    """
    if part and name in CONTEXTS:
        return _rule(part, "", True)
    words = f"{name}.{part}" if part else name
    if name == "dbt" and part in RULES:
        return RULES[part], part
    if name in RULES:
        return RULES[name], name if RULES[name] == CLOCK else words
    if name in STILL_PARTS:
        rule, still = STILL_PARTS[name]
        return None if part in still else (rule, words)
    if name in CALLED:
        return None if is_called or part in CALLED[name] else (UNREAD, words)
    return (CLOCK, name) if name in HOLDERS else None


def _taken(tree: nodes.Template) -> Iterator[tuple[nodes.Name, str, bool]]:
    """Yield the names that are loaded, the first part that is taken of each, if it is called."""
    said = [
        name
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in SAYS
        for argument in call.args
        for name in (argument, *argument.find_all(nodes.Name))
    ]
    seen = {id(name) for name in said}
    # A chain of parts comes before the shorter ones in it, and a call before what is called.
    for node in tree.find_all((nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Name)):
        name, part = _name_and_part(node)
        if name is not None and name.ctx == "load" and id(name) not in seen:
            seen.add(id(name))
            yield name, part, isinstance(node, nodes.Call) and not part


def _name_and_part(node: nodes.Node) -> tuple[nodes.Name | None, str]:
    """Return a name and the first part of it that is taken, where a node is just that."""
    if isinstance(node, nodes.Name):
        return node, ""
    if isinstance(node, nodes.Call):
        given = node.node
        if isinstance(given, nodes.Name):
            return given, ""
        # context.get('<name>')
        if isinstance(given, nodes.Getattr) and given.attr == "get" and node.args:
            owner = given.node
            if isinstance(owner, nodes.Name) and owner.name in CONTEXTS:
                return owner, _text(node.args[0])
    elif isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
        return node.node, node.attr if isinstance(node, nodes.Getattr) else _text(node.arg)
    return None, ""


def _text(node: nodes.Node) -> str:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ""
