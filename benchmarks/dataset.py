"""Measure `martfeast dataset`: time and peak memory, by the number of rows.

``python benchmarks/dataset.py`` builds the project in large_project with as many visits, in a
temporary folder, and writes dataset.md beside this file. The offline store and the measurements
have a memory limit of 2 GB, as in its feature_store.yaml; what is reported is the peak of the whole
process, as the kernel has it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PACKAGE = HERE.parent / "python/martfeast/dbt_package"
SIZES = (1_000_000, 10_000_000)
COMMAND = ("martfeast", "dataset", "purchases", "--test-from", "2025-10-01")


@dataclass(frozen=True)
class Cost:
    """What a command cost: seconds, those of processors, and the peak of its memory in MiB."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def run(project: Path, *command: str) -> Cost:
    """Run a command of the environment in a project."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]], cwd=project, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if status != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read().decode()}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(visit_count: int) -> str:
    """Return a table row for a number of visits."""
    with tempfile.TemporaryDirectory(prefix="martfeast-large-", dir=HERE.parent / "data") as name:
        project = Path(name) / "project"
        shutil.copytree(HERE / "large_project", project)
        settings = project / "dbt_project.yml"
        settings.write_text(settings.read_text().replace("1000000", str(visit_count)))
        (project / "packages.yml").write_text(f"packages:\n  - local: {PACKAGE}\n")
        run(project, "dbt", "deps")
        built = run(project, "dbt", "build")
        run(project, "feast", "-c", "feature_repo", "apply")
        first = run(project, *COMMAND)
        again = run(project, *COMMAND)
        size = (project / "out/datasets/purchases/0001/data.parquet").stat().st_size
    return (
        f"| {visit_count:,} | {built.seconds:.0f} | {first.seconds:.0f}"
        f" | {first.seconds / built.seconds:.2f} | {first.peak_mib:,.0f} | {again.seconds:.0f}"
        f" | {size / 2**20:,.0f} |"
    )


def main() -> int:
    """Measure and write the page; return the exit code."""
    rows = [measure(size) for size in SIZES]
    lines = [
        "# Datasets, measured",
        "",
        f"Written by `make measure-dataset` (benchmarks/dataset.py). {os.cpu_count()} cores,"
        " memory_limit 2GB in feature_store.yaml. As many feature rows as label rows, of 200,000"
        " keys, 20 features; with the card, the drift from train to test, and the registration.",
        "",
        "| rows | `dbt build`, seconds | `martfeast dataset`, seconds | next to the build"
        " | its peak, MiB | asking again, seconds | file, MiB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    (HERE / "dataset.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
