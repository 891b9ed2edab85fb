"""Reads Jinja for what makes a build's SQL another than the last one's: clocks, and queries."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from jinja2 import TemplateSyntaxError, meta, nodes

CLOCK, QUERY, UNREAD, BY_BUILD = "clock-read", "query-when-compiled", "jinja-unread", "by-build"
# Names in dbt's context, and parts of them.
CLOCKS = frozenset(["run_started_at", "invocation_id"])
BUILDS = frozenset(["invocation_args_dict", "flags"])
QUERIES = frozenset(["run_query", "statement", "load_result"])
STILL_MODULES = frozenset(["re", "itertools", "pytz"])
# What an adapter answers without its database, or of the columns alone.
STILL_ADAPTER = frozenset(["dispatch", "quote", "type", "get_columns_in_relation"])
# Parts of modules.datetime that read the clock; all else of it is still.
NOW = frozenset(["now", "utcnow", "today"])
# Through these, anything in dbt's context can be named.
CONTEXTS = frozenset(["context", "builtins"])


@dataclass(frozen=True)
class JinjaRead:
    """Something that Jinja reads: by which rule, in which words, in which line of the text."""

    rule: str
    words: str
    line: int


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
    found: list[JinjaRead] = []
    has_now = False
    for number, text in enumerate([own, *called]):
        reads, reads_now = _read(text)
        found += [replace(one, line=1) for one in reads] if number else reads
        has_now = has_now or reads_now
    return [one for one in found if one.words != "modules.datetime" or has_now]


@lru_cache(maxsize=1000)
def _read(text: str) -> tuple[list[JinjaRead], bool]:
    """Return what one text reads, and whether it takes a part that may read a clock."""
    from dbt_common.clients.jinja import get_environment  # takes most of a second to import

    try:
        tree = get_environment(None, capture_macros=False).parse(text)
    except TemplateSyntaxError as error:
        return [JinjaRead(UNREAD, str(error.message).split(".")[0], error.lineno)], False
    return sorted(_reads(tree), key=lambda one: one.line), _reads_now(tree)


def _reads(tree: nodes.Template) -> Iterator[JinjaRead]:
    free = meta.find_undeclared_variables(tree)
    seen: set[int] = set()
    # A chain of parts comes before the shorter ones in it.
    for node in tree.find_all((nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Name)):
        name, part = _name_and_part(node)
        if name is None or name.ctx != "load" or name.name not in free or id(name) in seen:
            continue
        seen.add(id(name))
        if found := _rule(name.name, part):
            yield JinjaRead(*found, name.lineno)
    for node in tree.find_all(nodes.Filter):
        if node.name == "random":
            yield JinjaRead(CLOCK, "random", node.lineno)


def _rule(name: str, part: str | None) -> tuple[str, str] | None:
    """Return the rule for a name and the part of it that is taken, and the words to say it in.

    part: '' if it is computed, or if the name is taken whole.
    """
    if name in CONTEXTS and part:
        return _rule(part, "")
    words = f"{name}.{part}" if part else name
    if name == "dbt":
        words, name = part or name, part or name
    if name in CLOCKS:
        return CLOCK, name
    if name == "modules" and part not in STILL_MODULES:
        return CLOCK, words
    if name in QUERIES or (name == "adapter" and part not in STILL_ADAPTER):
        return QUERY, words
    if name in CONTEXTS:
        return UNREAD, words
    return (BY_BUILD, words) if name in BUILDS else None


def _name_and_part(node: nodes.Node) -> tuple[nodes.Name | None, str | None]:
    """Return a name and the first part of it that is taken, where a node is just that."""
    if isinstance(node, nodes.Name):
        return node, ""
    if isinstance(node, nodes.Call):
        # context.get('<name>')
        given = node.node
        if isinstance(given, nodes.Getattr) and given.attr == "get" and node.args:
            owner = given.node
            if isinstance(owner, nodes.Name) and owner.name in CONTEXTS:
                return owner, _text(node.args[0])
        return None, None
    if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
        return node.node, node.attr if isinstance(node, nodes.Getattr) else _text(node.arg)
    return None, None


def _reads_now(tree: nodes.Template) -> bool:
    """Tell whether a template takes a part that reads a clock of anything, or an unknown part."""
    return (
        any(node.attr in NOW for node in tree.find_all(nodes.Getattr))
        or any(_text(node.arg) in NOW for node in tree.find_all(nodes.Getitem))
        or any(node.name in ("attr", "map") for node in tree.find_all(nodes.Filter))
    )


def _text(node: nodes.Node) -> str:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ""
