"""Lineage of one to two hops as inline SVG: boxes in columns, read from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_LETTER, _PADDING, _HEIGHT, _GAP, _BETWEEN = 7.3, 12, 44, 12, 40
_MOST_LETTERS = 34


@dataclass(frozen=True)
class Box:
    """A box. note: a small line under its name. kind: its class. href: where it leads, or empty."""

    key: str
    name: str
    note: str
    kind: str = ""
    href: str = ""


@dataclass(frozen=True)
class Arrow:
    """From the right of one box to the left of another. is_dashed: it decides which rows are."""

    start: str
    end: str
    is_dashed: bool = False


def picture(columns: Sequence[Sequence[Box]], arrows: Sequence[Arrow], said: str) -> Markup:
    """Return boxes and arrows as SVG.

    Args:
        columns: of boxes, the leftmost first; empty ones take no room.
        arrows: between boxes of different columns.
        said: what the picture shows, in words, for who cannot see it.

    """
    columns = [column for column in columns if column]
    tallest = max(len(column) for column in columns)
    height = tallest * (_HEIGHT + _GAP) - _GAP + 4
    places: dict[str, tuple[float, float, float]] = {}
    x = 2.0
    for column in columns:
        letters = max(min(_MOST_LETTERS, max(len(one.name), len(one.note))) for one in column)
        width = letters * _LETTER + 2 * _PADDING
        top = (height - len(column) * (_HEIGHT + _GAP) + _GAP) / 2
        for row, one in enumerate(column):
            places[one.key] = (x, top + row * (_HEIGHT + _GAP), width)
        x += width + _BETWEEN
    width = x - _BETWEEN + 2
    drawn = [_path(places, arrow) for arrow in arrows]
    drawn += [_box(one, places[one.key]) for column in columns for one in column]
    return Markup(
        '<svg class="flow" role="group" viewBox="0 0 {0:.0f} {1:.0f}"'
        ' style="max-width:{0:.0f}px" aria-label="{2}">{3}</svg>'
    ).format(width, height, said, Markup("").join(drawn))


def _path(places: dict[str, tuple[float, float, float]], arrow: Arrow) -> Markup:
    (x, y, width), (end_x, end_y, _) = places[arrow.start], places[arrow.end]
    start, y, end_y = x + width, y + _HEIGHT / 2, end_y + _HEIGHT / 2
    middle = (start + end_x) / 2
    return Markup('<path{} d="M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}"/>').format(
        Markup(' class="dashed"') if arrow.is_dashed else "",
        *(start, y, middle, y, middle, end_y, end_x, end_y),
    )


def _box(one: Box, place: tuple[float, float, float]) -> Markup:
    x, y, width = place
    box = Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="8"/>'
        '<text class="name" x="{:.1f}" y="{:.1f}">{}</text>'
        '<text class="note" x="{:.1f}" y="{:.1f}">{}</text>'
    ).format(
        *(one.kind, x, y, width, _HEIGHT),
        *(x + _PADDING, y + 18.5, _short(one.name)),
        *(x + _PADDING, y + 34.5, _short(one.note)),
    )
    title = Markup("<title>{}</title>").format(one.name) if len(one.name) > _MOST_LETTERS else ""
    if not one.href:
        return Markup("<g>{}{}</g>").format(title, box)
    return Markup('<a href="{}">{}{}</a>').format(one.href, title, box)


def _short(name: str) -> str:
    """Return a name with its middle left out, if it is too long for a box."""
    if len(name) <= _MOST_LETTERS:
        return name
    return f"{name[: _MOST_LETTERS // 2]}…{name[-(_MOST_LETTERS // 2 - 1) :]}"
