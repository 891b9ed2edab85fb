"""The record of replays beside the published marts, which the gate reads."""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1


@dataclass(frozen=True)
class ReplayRecord:
    """What the last replay of a mart showed.

    lineage: what the mart and its ancestors ran then, as checksums by node. replayed_at: UTC.
    cuts, compared, withheld: how many moments, rows compared, and later facts withheld.
    failure: how it knew the future, or why nothing was shown; empty if it passed.
    warnings: what to look at besides.
    """

    lineage: dict[str, str]
    replayed_at: str
    cuts: int
    compared: int
    withheld: int
    failure: str
    warnings: list[str]


def read_replays(published_path: Path) -> dict[str, ReplayRecord]:
    """Return the records by the mart's unique_id; none if there are none or they are unreadable."""
    try:
        record = json.loads((published_path / "replays.json").read_bytes())
        if record["format"] != FORMAT:
            return {}
        return {name: ReplayRecord(**mart) for name, mart in record["marts"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_replays(published_path: Path, records: dict[str, ReplayRecord]) -> None:
    """Add records to those that are there, in one rename."""
    if not records:
        return
    published_path.mkdir(parents=True, exist_ok=True)
    marts = {**read_replays(published_path), **records}
    path = published_path / "replays.json"
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    content = {"format": FORMAT, "marts": {name: asdict(marts[name]) for name in sorted(marts)}}
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)
