"""Measure what `make run` costs: time and memory of each step, written to benchmarks/README.md.

Runs the steps in a copy of the project, so that nothing is up to date beforehand, in the
environment that runs this script. Time is wall-clock seconds; memory is the largest resident set
among the step's processes, in MiB, as the kernel reports it (wait4). Start-up is measured by
itself: a dbt command that does next to nothing, and importing Feast.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COPIED = (
    "dbt_project.yml",
    "profiles.yml",
    "packages.yml",
    "package-lock.yml",
    "models",
    "macros",
    "seeds",
    "tests",
    "python",
    "feature_repo",
)
STEPS = [
    ("start-up: dbt deps", ".", ["dbt", "deps"]),
    ("start-up: import feast", ".", ["python", "-c", "import feast"]),
    ("landing", ".", ["python", "-m", "nyc_flights.landing"]),
    ("dbt build, tests included", ".", ["dbt", "build"]),
    ("feast apply", "feature_repo", ["feast", "apply"]),
    (
        "feast materialize, one month",
        "feature_repo",
        ["feast", "materialize", "2013-12-01T00:00:00", "2014-01-01T00:00:00"],
    ),
    ("training set and model", ".", ["python", "-m", "nyc_flights.training"]),
    ("dbt docs", ".", ["dbt", "docs", "generate", "--static"]),
]


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command in a folder; return its wall-clock seconds and its peak memory in MiB."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": "python" if folder.name != "feature_repo" else "../python",
    }
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    # wait4 gives this child's own peak, where getrusage(RUSAGE_CHILDREN) gives that of all so far.
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(command)} failed:\n{errors.decode()}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Measure every step and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("data", "__pycache__", "*.egg-info")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        (copy / "data").mkdir()
        for name, where, command in STEPS:
            seconds, memory = measure(command, copy / where)
            print(f"{name:<32}{seconds:>8.1f} s{memory:>8.0f} MiB", flush=True)
            rows.append((name, seconds, memory))
    total = sum(seconds for name, seconds, _ in rows if not name.startswith("start-up"))
    peak = max(memory for _, _, memory in rows)
    lines = [
        "# What it costs",
        "",
        "Written by `make measure` (benchmarks/measure_run.py): the steps of `make run` after",
        "installation, on a fresh copy of the project, one after the other in one run. Times are",
        "wall-clock and vary from machine to machine; start-up is part of each step, and listed",
        "by itself too.",
        "",
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.",
        "",
        "| step | seconds | peak memory, MiB |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {seconds:.1f} | {memory:.0f} |" for name, seconds, memory in rows),
        f"| **all steps, without the start-up lines** | **{total:.1f}** | **{peak:.0f}** |",
    ]
    (PROJECT / "benchmarks" / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
