"""Measure what `make run` costs: time and memory of each step, written to benchmarks/README.md.

Runs the steps in a copy of the project, so that nothing is up to date beforehand, in the
environment that runs this script. Time is wall-clock seconds; memory is the largest resident set
among the step's processes, in MiB, as the kernel reports it (wait4). Start-up is measured by
itself: a dbt command that does next to nothing, and importing Feast.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
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
MOMENTS = ("started_at", "completed_at")
STEPS = [
    ("start-up: dbt deps", ".", ["dbt", "deps"]),
    ("start-up: import feast", ".", ["python", "-c", "import feast"]),
    ("landing", ".", ["python", "-m", "nyc_flights.landing"]),
    ("dbt build, tests included", ".", ["dbt", "build"]),
    ("martfeast replay", ".", ["martfeast", "replay"]),
    ("feast apply", "feature_repo", ["feast", "apply"]),
    (
        "feast materialize, one month",
        "feature_repo",
        ["feast", "materialize", "2013-12-01T00:00:00", "2014-01-01T00:00:00"],
    ),
    (
        "martfeast dataset",
        ".",
        ["martfeast", "dataset", "late_arrival_prediction", "--test-from", "2013-10-01"],
    ),
    ("example model", ".", ["python", "-m", "nyc_flights.training"]),
    ("dbt docs", ".", ["dbt", "docs", "generate", "--static"]),
]


def copy_project(to: Path) -> None:
    """Copy the project to an empty folder as it is in the repository, without what was built."""
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("data", "__pycache__", "*.egg-info")
            shutil.copytree(source, to / name, ignore=ignored)
        else:
            shutil.copy(source, to / name)
    (to / "data").mkdir()


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


def evidence_cost(project: Path) -> tuple[float, float, float]:
    """Return what evidence cost the last build, seconds: recording, its models, the whole build.

    Recording is the hooks that write the evidence; publishing is another hook. The models are those
    for analysts, with their tests; two threads share that work, so it overstates what it adds. The
    whole is what dbt reports as elapsed, start-up not included.
    """
    run = json.loads((project / "target" / "run_results.json").read_text())
    hooks = ("martfeast.martfeast-on-run-start-0", "martfeast.martfeast-on-run-end-0")
    recording = models = 0.0
    for result in run["results"]:
        name = result["unique_id"]
        if name.startswith("operation"):
            for step in result["timing"] if name.endswith(hooks) else []:
                began, ended = (datetime.fromisoformat(step[at]) for at in MOMENTS)
                recording += (ended - began).total_seconds()
        elif name.split(".")[1] == "martfeast":
            models += result["execution_time"]
    return recording, models, run["elapsed_time"]


def main() -> None:
    """Measure every step and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_project(copy)
        for name, where, command in STEPS:
            seconds, memory = measure(command, copy / where)
            print(f"{name:<32}{seconds:>8.1f} s{memory:>8.0f} MiB", flush=True)
            rows.append((name, seconds, memory))
            if command == ["dbt", "build"]:
                recording, models, build = evidence_cost(copy)
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
        "",
        f"Of the {build:.1f} s that dbt spent building, testing and publishing, start-up left out,",
        f"recording evidence took {recording:.2f} s ({recording / build:.1%}), and the models over",
        f"it {models:.2f} s ({models / build:.1%}).",
    ]
    (PROJECT / "benchmarks" / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
