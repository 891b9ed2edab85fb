"""Search over the catalog, the same in the terminal and in the browser.

It is a search of our own and not a library's, because both have to give the same hits in the same
order: the index holds whole numbers, and a query only compares and adds them, so that no rounding
can differ between Python and JavaScript. ``static/search.js`` is the same query in JavaScript.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from martfeast.site.catalog import Catalog
from martfeast.site.mart import View
from martfeast.site.names import words_of
from martfeast.site.prose import plain

_WORD = re.compile(r"[^\W_]+")
# Words that say nothing of what is looked for.
_SAYING_NOTHING = """
a an and any are as at be been by can do does for from has have how i in is it its me my of on or
our per that the their there this to was we were what when where which who with
"""
STOP_WORDS = frozenset(_SAYING_NOTHING.split())
# What a word weighs where it stands: in a name, in other short texts, in a description.
_IN_NAME, _IN_SHORT, _IN_DESCRIPTION = 40, 12, 8
# How well a word of a query matches, in tenths: as it is, as the beginning of a longer one, or with
# a letter wrong.
EXACT, BEGINS, WRONG = 10, 6, 4
_SHORTEST_BEGINNING, _SHORTEST_WRONG = 2, 5
Postings = dict[str, list[tuple[int, int]]]


@dataclass(frozen=True)
class Document:
    """What can be found. kind: in a word. state: ready, held back, or empty where neither fits.

    names, shorts: texts whose words count for more than those of the description.
    """

    name: str
    page: str
    kind: str
    state: str
    of: str
    description: str
    names: str
    shorts: str


@dataclass(frozen=True)
class Hit:
    """A document that was found, and how many words of the query it has."""

    document: Document
    matched: int
    score: int


@dataclass(frozen=True)
class Index:
    """Documents, and for each word which of them have it and what it weighs there."""

    documents: tuple[Document, ...]
    words: Postings

    def find(self, query: str, most: int = 20) -> list[Hit]:
        """Return what a query finds, best first.

        What has more of its words comes first; of these what is not held back, then what weighs
        more, then by kind of thing as listed, in the order of the documents.

        Args:
            query: words, in any form.
            most: how many hits to return.

        """
        asked = words_in(query)
        scores: dict[int, list[int]] = {}
        for word in dict.fromkeys(asked):
            for place, score in self._having(word).items():
                counted = scores.setdefault(place, [0, 0])
                counted[0] += 1
                counted[1] += score
        order = sorted(
            scores,
            key=lambda place: (
                -scores[place][0],
                self.documents[place].state == "held back",
                -scores[place][1],
                place,
            ),
        )
        return [Hit(self.documents[place], *scores[place]) for place in order[:most]]

    def _having(self, word: str) -> dict[int, int]:
        """Return the documents that have a word or one like it, with the most that it scores."""
        found: dict[int, int] = {}
        for known, postings in self.words.items():
            quality = likeness(word, known)
            for place, weight in postings if quality else ():
                found[place] = max(found.get(place, 0), weight * quality)
        return found


def likeness(asked: str, known: str) -> int:
    """Return how well a word of a query matches a known one, in tenths; 0 if it does not."""
    if asked == known:
        return EXACT
    if len(asked) >= _SHORTEST_BEGINNING and known.startswith(asked):
        return BEGINS
    is_long = len(asked) >= _SHORTEST_WRONG and not asked[0].isdigit()
    return WRONG if is_long and is_one_off(asked, known) else 0


def is_one_off(one: str, other: str) -> bool:
    """Tell whether one letter less, more or other, or two changed about, makes a word another."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    if len(one) == len(other):
        rest = one[start:]
        swapped = rest[1::-1] + rest[2:] if len(rest) > 1 else rest
        return one[start + 1 :] == other[start + 1 :] or swapped == other[start:]
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    return one[start + 1 :] == other[start:]


def words_in(text: str) -> list[str]:
    """Return the words of a text as they are compared: lower case, no accents, no plural s."""
    folded = unicodedata.normalize("NFD", text.lower())
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return [_stem(word) for word in _WORD.findall(bare) if word not in STOP_WORDS]


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def make_index(catalog: Catalog) -> Index:
    """Return the index over all that a catalog has a page for."""
    documents = tuple(_documents(catalog))
    weights: dict[str, dict[int, int]] = {}
    for place, document in enumerate(documents):
        for text, weight in (
            (document.names, _IN_NAME),
            (f"{document.kind} {document.shorts}", _IN_SHORT),
            (document.description, _IN_DESCRIPTION),
        ):
            for word in dict.fromkeys(words_in(text)):
                of_word = weights.setdefault(word, {})
                of_word[place] = of_word.get(place, 0) + weight
    rare = {
        word: round(10 * math.log1p(len(documents) / len(of_word)))
        for word, of_word in weights.items()
    }
    lengths = [len(words_of(document.name)) for document in documents]
    # Features are what people look for here, and the rest leads to them.
    sought = [3 if document.kind == "feature" else 2 for document in documents]
    # What a name says in few words is said of it more than what it says in many.
    words = {
        word: [
            (place, max(1, weight * rare[word] * sought[place] // (8 + 2 * lengths[place])))
            for place, weight in sorted(of_word.items())
        ]
        for word, of_word in sorted(weights.items())
    }
    return Index(documents, words)


def index_script(index: Index) -> str:
    """Return the index as a script, which a page from the file system may load."""
    content = {
        "documents": [
            [one.name, one.page, one.kind, one.state, one.of, plain(one.description)]
            for one in index.documents
        ],
        "words": {
            word: [number for posting in postings for number in posting]
            for word, postings in index.words.items()
        },
        "stop": sorted(STOP_WORDS),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # `</script>` cannot end a file of its own; U+2028 and U+2029 are ends of lines in old engines.
    return f"const searchIndex = {text};\n".replace("\u2028", " ").replace("\u2029", " ")


def _documents(catalog: Catalog) -> Iterator[Document]:
    owners = {one.group: f"{one.title} {one.group} {one.email}" for one in catalog.owners}

    def shorts(view: View) -> str:
        entities = " ".join(f"{entity} {key}" for entity, key in view.declared.entities)
        return f"{entities} {owners.get(view.group, view.group) if view.group else ''}"

    for view in catalog.feature_views:
        for feature in view.features:
            yield Document(
                feature.name,
                feature.page,
                "feature",
                view.standing.word,
                view.name,
                feature.description,
                feature.name,
                f"{view.name} {feature.unit} {feature.window} {shorts(view)}",
            )
    for view in catalog.views:
        kind = "label mart" if view.kind == "labels" else "view"
        text = view.declared.description.replace("#### ", "")
        label = view.declared.label.column if view.declared.label else ""
        names = f"{view.name} {label}"
        state = view.standing.word
        yield Document(view.name, view.page, kind, state, "", text, names, shorts(view))
    for model in catalog.models:
        names, owner = f"{model.name} {model.title}", f"{model.owner_name} {model.owner}"
        yield Document(model.title, model.page, "model", "", "", model.description, names, owner)
    for one in catalog.entities:
        keys = " ".join(one.keys)
        yield Document(one.name, one.page, "entity", "", "", f"Key {keys}.", one.name, keys)
    for metric in catalog.metrics:
        names, said = f"{metric.name} {metric.title}", metric.description
        page = f"metrics/index.html#{metric.name}"
        yield Document(metric.title, page, "metric", "", "", said, names, metric.made_of)
    for who in catalog.owners:
        short = f"{who.group} {who.email}"
        yield Document(who.title, who.page, "owner", "", "", "", who.title, short)
