"""Measure how time grows with the number of marts and of their features.

``python benchmarks/scale.py`` writes the project of scale_project.py with as many marts, in a
temporary folder, and scale.md beside this file. Times are of processors, which other programs on
the machine hardly change; those of the hooks are dbt's own, by the clock, the least of three.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from dataset import run
from scale_project import name_of, write_project

HERE = Path(__file__).parent
SIZES = (25, 50, 100, 200)
FEATURES_OF_EACH, ROWS = 10, 50
ONE_MART = ("dbt", "build", "--select", name_of(0))
APPLY = ("feast", "-c", "feature_repo", "apply")
DATASET = ("martfeast", "dataset", "sales_prediction", "--test-from")
# What is measured, and what is done for it; the hooks are those of the command before them.
COLUMNS: dict[str, tuple[str, ...] | None] = {
    "`dbt build` of one mart": ONE_MART,
    "of that, the hooks at its end": None,
    "`martfeast status`": ("martfeast", "status"),
    "`feast apply`": APPLY,
    "`martfeast dataset`": (*DATASET, "2026-02-02"),
    "its next version": (*DATASET, "2026-02-02T12:00:00"),
}


def hook_seconds(project: Path) -> float:
    """Return how long the hooks took at the end of the last run of dbt."""
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    found = [one["execution_time"] for one in results if "on-run-end" in one["unique_id"]]
    assert found, "dbt's results have no hooks"
    return float(sum(found))


def measure(marts: int) -> list[float]:
    """Return seconds, as COLUMNS has them, of a project with as many feature marts."""
    with tempfile.TemporaryDirectory(prefix="martfeast-scale-", dir=HERE.parent / "data") as name:
        project = Path(name)
        write_project(project, marts, FEATURES_OF_EACH, ROWS)
        for first in (("dbt", "deps"), ("dbt", "build"), APPLY):
            run(project, *first)
        found = {}
        for column, command in COLUMNS.items():
            if command:
                found[column] = run(project, *command).processor_seconds
            else:
                hooks = [hook_seconds(project)]
                for _ in range(2):
                    run(project, *ONE_MART)
                    hooks.append(hook_seconds(project))
                found[column] = min(hooks)
    return [found[column] for column in COLUMNS]


def table(form: str, rows: dict[int, list[float]]) -> list[str]:
    """Return a table by the number of marts."""
    return [
        f"| marts | features | {' | '.join(COLUMNS)} |",
        "| ---: " * (len(COLUMNS) + 2) + "|",
        *(
            f"| {marts} | {marts * FEATURES_OF_EACH:,} |"
            f" {' | '.join(format(value, form) for value in values)} |"
            for marts, values in rows.items()
        ),
    ]


def main() -> int:
    """Measure and write the page; return the exit code."""
    seconds = {marts: measure(marts) for marts in SIZES}
    smallest = seconds[SIZES[0]]
    ratios = {
        marts: [value / least for value, least in zip(values, smallest, strict=True)]
        for marts, values in seconds.items()
    }
    lines = [
        "# Many marts, measured",
        "",
        f"Written by `make measure-scale` (benchmarks/scale.py). {os.cpu_count()} cores. Seconds"
        " are of processors, start-up included; of the hooks they are of the wall clock. Each mart"
        f" has {FEATURES_OF_EACH} features, each with a test, and {ROWS} rows; all are exposed, and"
        " the dataset has all their features, measured from train to test. Its next version has"
        " another --test-from, and is compared with the first.",
        "",
        "## Next to the smallest",
        "",
        "Where marts are twice as many, a time may double, and no more.",
        "",
        *table(".1f", ratios),
        "",
        "## Seconds",
        "",
        *table(".1f", seconds),
    ]
    (HERE / "scale.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
