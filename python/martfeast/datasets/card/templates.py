"""The templates of cards and of the site, and how values are written in both."""

import json
from functools import cache

import jinja2
from markupsafe import Markup, escape

from martfeast.datasets.card.wording import (
    READINGS,
    duration,
    index,
    moment,
    number,
    percent,
)


@cache
def environment(*packages: str) -> jinja2.Environment:
    """Return the templates of packages; what is put into them is escaped.

    packages: by name, each with its templates in it or in its folder ``templates``; of two
    templates of one name that of the first package is meant. Those of the card are there always.
    """
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                *(jinja2.PackageLoader(package, "templates") for package in packages),
                jinja2.PackageLoader("martfeast.datasets.card", ""),
            ]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(
        breakable=_breakable,
        count=lambda value: f"{value:,}",
        duration=duration,
        index=index,
        moment=lambda text: _whole(moment(text)),
        number=lambda value: _whole(number(value)),
        percent=percent,
        pos=lambda share: f"{100 * min(max(share, 0), 1):.2f}",
        quoted=json.dumps,
        size=_size,
        tick=tick,
        reading=READINGS.__getitem__,
    )
    return made


def tick(share: float) -> str:
    """Return a share in percent as it stands beside an axis."""
    return f"{100 * share:.4g}%"


def _size(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _breakable(name: object) -> Markup:
    """Let a long name break after its underscores and dots."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace(".", ".<wbr>"))


def _whole(text: str) -> Markup:
    """Keep a short text, such as a moment, on one line."""
    whole = Markup('<span class="whole">{}</span>')
    return whole.format(text) if len(text) <= len("2013-01-31 05:00") else escape(text)
