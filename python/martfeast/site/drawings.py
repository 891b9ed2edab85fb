"""Pictures of the site as inline SVG: strips, bars of time, histograms, lineage."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from martfeast.datasets.card.wording import moment, percent
from martfeast.site.flow import Arrow, Box, picture
from martfeast.site.mart import ColumnOf, Feature, Judged, Node, Run, Use, View

Address = Callable[[str], str]
_STATES = {"pass": "passed", "fail": "failed", "warn": "warned"}
_MOST_IN_A_COLUMN = 8


def strip(runs: Sequence[Run]) -> Markup:
    """Return a mark for each run, oldest first; higher where something failed."""
    said = ", ".join(f"{moment(run.started_at)} {run.word}" for run in runs)
    return _marks([(run.word, f"{moment(run.started_at)}: {run.word}") for run in runs], said)


def marks(criteria: Sequence[Judged]) -> Markup:
    """Return a mark for each criterion, in their order."""
    said = ", ".join(f"{one.name} {one.state}" for one in criteria)
    shown = [(_STATES.get(one.state, "waived"), f"{one.name}: {one.state}") for one in criteria]
    return _marks(shown, said, size=7)


def _marks(shown: Sequence[tuple[str, str]], said: str, size: int = 12) -> Markup:
    """Return marks of a size in pixels. What did not pass is told by its shape too."""
    drawn = []
    for place, (word, title) in enumerate(shown):
        full = word != "passed"
        top, height = (0, 2 * size) if full else (size // 2, size)
        drawn.append(
            Markup(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2">'
                "<title>{}</title></rect>"
            ).format(word, place * (size + 3), top, size, height, title)
        )
    return Markup(
        '<svg class="strip" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}"'
        ' aria-label="{2}">{3}</svg>'
    ).format(len(shown) * (size + 3) - 3, 2 * size, said, Markup("").join(drawn))


def freshness(view: View, as_of: str) -> Markup:
    """Return one bar: when rows were known, how long the last are used, when sources were loaded.

    as_of: when the release was judged; it is the right end, unless something is later. Empty if
    nothing is published.
    """
    published = view.published
    if published is None or not published.last_known_at or not as_of:
        return Markup("")
    first, last = _parse(published.first_known_at), _parse(published.last_known_at)
    judged = _parse(as_of)
    loads = [_parse(loaded) for _, loaded in published.sources if loaded]
    ttl = view.declared.ttl_minutes
    valid = judged if ttl is None else last + timedelta(minutes=min(ttl, 53_000_000))
    if view.kind == "labels":  # no label grows old
        valid = last
    end = max([judged, last, *loads])
    width = (end - first).total_seconds() or 1

    def at(when: datetime) -> str:
        return f"{100 * min(max((when - first).total_seconds() / width, 0), 1):.2f}%"

    lines = Markup("").join(
        Markup('<line class="load" x1="{0}" x2="{0}" y1="2" y2="22"/>').format(at(load))
        for load in sorted(set(loads))
    )
    rest = max((min(valid, end) - last).total_seconds() / width, 0)
    # A picture for who sees it; the sentence below has every moment in words.
    return Markup(
        '<div aria-hidden="true"><svg class="span" height="24">'
        '<rect class="ground" x="0" y="6" width="100%" height="12" rx="4"/>'
        '<rect class="known" x="0" y="6" width="{}" height="12" rx="4"/>'
        '<rect class="valid" x="{}" y="6" width="{:.2f}%" height="12"/>{}</svg>'
        '<div class="ends bars-ends"><span>{}</span><span>{}</span></div>'
        '<p class="key"><span><svg width="14" height="12"><rect width="14" height="12" rx="3"'
        ' style="fill:var(--main)"/></svg>rows were known</span><span><svg width="14" height="12">'
        '<rect width="14" height="12" rx="3" style="fill:var(--tint)"/></svg>the last are used'
        '</span><span><svg width="4" height="14"><rect width="2" height="14"'
        ' style="fill:var(--look)"/></svg>sources loaded</span></p></div>'
    ).format(at(last), at(last), 100 * rest, lines, moment(published.first_known_at), moment(as_of))


def _parse(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def histogram(feature: Feature) -> Markup:
    """Return the values of a feature: bars over numbers, or the most common of the rest."""
    profile = feature.profile
    if profile is None:
        return Markup("")
    if profile.bars:
        return _bars(feature)
    if not profile.top:
        return Markup("")
    rows = Markup("").join(
        Markup(
            '<tr role="row"><th scope="row" role="rowheader">{}</th><td role="cell" class="drawn">'
            '<span class="track"><span class="fill" style="width:{:.2f}%"></span></span></td>'
            '<td role="cell" class="value">{}</td></tr>'
        ).format(value, 100 * share, percent(share))
        for value, share in profile.top
    )
    return Markup(
        '<table class="bars" role="table"><caption class="unseen">Most common values</caption>'
        '<tbody role="rowgroup">{}</tbody></table>'
    ).format(rows)


def _bars(feature: Feature) -> Markup:
    assert feature.profile is not None
    bars = feature.profile.bars
    highest, width = max(bar.share for bar in bars) or 1, 100 / len(bars)
    drawn = Markup("").join(
        Markup(
            '<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}">'
            "<title>{} to {}: {}</title></rect>"
        ).format(
            place * width + 0.1 * width,
            100 - 100 * bar.share / highest,
            0.8 * width,
            100 * bar.share / highest,
            *(bar.low, bar.high, percent(bar.share)),
        )
        for place, bar in enumerate(bars)
    )
    said = ", ".join(f"{bar.low} to {bar.high} {percent(bar.share)}" for bar in bars)
    return Markup(
        '<div><svg class="bars-drawn" viewBox="0 0 100 100" preserveAspectRatio="none" role="img"'
        ' aria-label="Histogram of {}: {}">{}</svg>'
        '<div class="ends bars-ends" aria-hidden="true"><span>{}</span><span>{}</span></div></div>'
    ).format(feature.name, said, drawn, bars[0].low, bars[-1].high)


def lineage(view: View, uses: Sequence[Use], root: str) -> Markup:
    """Return the models up to two hops before a view, and who reads it, as a picture.

    root: the way from the page to the site's root.
    """
    if not view.nodes:
        return Markup("")
    nodes = {node.unique_id: node for node in view.nodes}
    own = view.nodes[-1]
    first = [name for name in dict.fromkeys(own.parents) if name in nodes]
    second = [
        name
        for one in first
        for name in dict.fromkeys(nodes[one].parents)
        if name in nodes and name not in first
    ]
    first, second = first[:_MOST_IN_A_COLUMN], list(dict.fromkeys(second))[:_MOST_IN_A_COLUMN]
    shown = {*first, *second, own.unique_id}
    readers = list(uses)[:_MOST_IN_A_COLUMN]
    arrows = [
        Arrow(parent, name)
        for name in (*first, own.unique_id)
        for parent in dict.fromkeys(nodes[name].parents)
        if parent in shown and (name == own.unique_id) == (parent in first)
    ]
    arrows += [Arrow(own.unique_id, f"use:{place}") for place in range(len(readers))]
    columns = [
        [_node_box(nodes[name], f"{root}{view.page}") for name in second],
        [_node_box(nodes[name], f"{root}{view.page}") for name in first],
        [Box(own.unique_id, view.name, "this view", "own")],
        [
            Box(f"use:{place}", use.title, use.kind, "user", f"{root}{use.page}" * bool(use.page))
            for place, use in enumerate(readers)
        ],
    ]
    said = f"What {view.name} is built on, up to two models back, and who reads it"
    return picture(columns, arrows, said)


def column_lineage(feature: Feature, view: View, root: str) -> Markup:
    """Return the columns that a feature is computed of, two steps back, and who takes it.

    Columns that decide which rows are there are dashed. Empty where it is computed of no column.
    """
    found = feature.trace
    if found is None or not found.links:
        return Markup("")
    own = found.links[0].end
    first = list(dict.fromkeys(found.values))[:_MOST_IN_A_COLUMN]
    rows = [one for one in found.shaped if one not in first]
    rows = rows[: max(2, _MOST_IN_A_COLUMN - len(first))]
    second = list(dict.fromkeys(link.start for link in found.links if link.end in first))
    second = [one for one in second if one not in (*first, *rows, own)][:_MOST_IN_A_COLUMN]
    how = found.shaped
    page = f"{root}{view.page}"

    def box(one: ColumnOf) -> Box:
        href = "" if one.is_source else f"{page}#sql-{one.relation}"
        note = f"{one.relation}, {how[one]}" if one in how and one in rows else one.relation
        return Box(str(one), one.column, note, "source" * one.is_source, href)

    readers = list(feature.used_by)[:_MOST_IN_A_COLUMN]
    arrows = [
        Arrow(str(link.start), str(link.end), bool(link.how))
        for link in found.links
        if (link.end == own and link.start in (*first, *rows) and link.start != own)
        or (link.end in first and link.start in second)
    ]
    arrows += [Arrow(str(own), f"use:{place}") for place in range(len(readers))]
    columns = [
        [box(one) for one in second],
        [box(one) for one in (*first, *rows) if one != own],
        [Box(str(own), feature.name, view.name, "own")],
        [
            Box(f"use:{place}", use.title, use.kind, "user", f"{root}{use.page}" * bool(use.page))
            for place, use in enumerate(readers)
        ],
    ]
    said = f"The columns that {feature.name} is computed of, up to two steps back, and who takes it"
    return picture(columns, list(dict.fromkeys(arrows)), said)


def _node_box(node: Node, page: str) -> Box:
    href = f"{page}#sql-{node.name}" if node.kind != "source" else ""
    return Box(node.unique_id, node.name, node.kind, node.kind, href)
