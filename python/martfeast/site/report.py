"""What a search found, as text of up to 100 columns and as JSON."""

from collections.abc import Sequence
from typing import Any

from martfeast.gate.report import wrapped
from martfeast.site.prose import plain
from martfeast.site.search import Hit


def hits_report(hits: Sequence[Hit]) -> str:
    """Return hits, best first: what each is, whether it may be used, and what it means."""
    if not hits:
        return "Nothing found. Try fewer or other words."
    lines = []
    for hit in hits:
        found = hit.document
        name = f"{found.of}:{found.name}" if found.of else found.name
        lines.append(f"{name}  {found.kind}{f', {found.state}' if found.state else ''}")
        if said := plain(found.description):
            lines.append(wrapped(f"    {said}"))
    return "\n".join(lines)


def hits_as_json(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return hits for ``json.dumps``."""
    return [
        {
            "name": hit.document.name,
            "kind": hit.document.kind,
            "view": hit.document.of or None,
            "state": hit.document.state or None,
            "page": hit.document.page,
            "description": plain(hit.document.description),
        }
        for hit in hits
    ]
