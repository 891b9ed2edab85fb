"""Says what a dataset holds, step by step, and what to know before using it."""

from pathlib import Path

from martfeast.datasets.folder import CARD
from martfeast.datasets.record import DatasetRecord


def dataset_report(path: Path, record: DatasetRecord, is_new: bool) -> str:
    """Return what the dataset in a folder holds, as text.

    is_new: whether it was built now.
    """
    state = "built" if is_new else "there already, with the same inputs"
    lines = [f"{record.name} version {record.number}: {state}"]
    for step in record.steps:
        out = ", ".join(f"{n:,} {reason}" for reason, n in step.left_out.items())
        lines.append(f"  {step.rows:>13,}  {step.step}{f' (left out: {out})' if out else ''}")
    if record.limits:
        lines += ["", "To know before using it:", *(f"  {limit}" for limit in record.limits)]
    if record.changes:
        lines += ["", f"Since version {record.number - 1}:"]
        lines += [f"  {change}" for change in record.changes]
    return "\n".join(
        [
            *lines,
            "",
            f"  data   {path / record.file.name}"
            f"  (sha256 {record.file.sha256[:12]}..., {record.file.bytes:,} bytes)",
            f"  card   {path / CARD}",
            f"  Feast  store.get_saved_dataset('{record.saved_dataset}')",
        ]
    )
