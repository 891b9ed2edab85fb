"""Descriptions as HTML: markup in them stays text, but for the little Markdown that is usual."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_BULLET = re.compile(r"\s*[-*]\s+(.*)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MOST_LETTERS = 240


def prose(text: str) -> Markup:
    """Return a text with its paragraphs, headings, bullets and code; all else is escaped."""
    return Markup("\n").join(_block(kind, lines) for kind, lines in _blocks(text))


def lead(text: str) -> Markup:
    """Return the first sentences of a text, as many as fit in two lines."""
    first = _first(text)
    kept, *others = _SENTENCE.split(first)
    for sentence in others:
        if len(kept) + len(sentence) >= _MOST_LETTERS:
            break
        kept += f" {sentence}"
    if len(kept) > 2 * _MOST_LETTERS:
        kept = f"{kept[: 2 * _MOST_LETTERS].rsplit(' ', 1)[0]} …"
    return _inline(kept)


def plain(text: str) -> str:
    """Return the first paragraph of a text on one line, without marks."""
    return _first(text).replace("`", "")


def has_more(text: str) -> bool:
    """Tell whether a text has more than what `lead` shows of it."""
    blocks = list(_blocks(text))
    return len(blocks) > 1 or str(_inline(_first(text))) != str(lead(text))


def marked_lines(sql: str, marked: str = "") -> Markup:
    """Return SQL whose lines that name something, as a whole word, are marked."""
    if not marked:
        return escape(sql)
    word = re.compile(rf"(?<!\w){re.escape(marked)}(?!\w)", re.IGNORECASE)
    return Markup("\n").join(
        Markup("<mark>{}</mark>").format(line) if word.search(line) else line
        for line in sql.splitlines()
    )


def _first(text: str) -> str:
    """Return the first paragraph of a text on one line."""
    return next((" ".join(found) for kind, found in _blocks(text) if kind == "p"), "")


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield paragraphs (p), headings (h) and lists (li), each with its lines."""
    for is_empty, group in groupby(text.splitlines(), lambda line: not line.strip()):
        if not is_empty:
            yield from _parts(group)


def _parts(group: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    kind, found = "", list[str]()
    for line in group:
        if heading := _HEADING.match(line):
            now, said = "h", heading[1]
        elif bullet := _BULLET.match(line):
            now, said = "li", bullet[1]
        elif kind == "li":  # an item goes on
            found[-1] += f" {line.strip()}"
            continue
        else:
            now, said = "p", line.strip()
        if now != kind and found:
            yield kind, found
            found = []
        kind = now
        found.append(said)
    if found:
        yield kind, found


def _block(kind: str, found: list[str]) -> Markup:
    if kind == "li":
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(one)) for one in found)
        return Markup("<ul>{}</ul>").format(items)
    tag = Markup('<p class="term">') if kind == "h" else Markup("<p>")
    return Markup("{}{}</p>").format(tag, _inline(" ".join(found)))


def _inline(text: str) -> Markup:
    parts = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup("{}").format(part)
        for place, part in enumerate(parts)
    )
