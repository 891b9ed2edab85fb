"""Measure building and publishing the flights on DuckDB and on Spark, by the years of data.

``python benchmarks/spark.py [--years N ...] [--source DIR]`` lands the sample year as often, each
repeat a year later (`python -m nyc_flights.landing --scale`), in a fresh copy of the project in a
temporary folder, builds it there on DuckDB and on Spark one after the other, and writes spark.md
beside this file.

Memory is the resident memory of all processes of a command together, Java's too, the largest found
when looked at five times a second; scratch is what the engine kept in temporary files at such a
moment. What takes longer than the limit is stopped, and the engine is not asked for more years.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
from dataset import Cost, run
from measure_run import BIN, copy_project
from nyc_flights.landing import package_folder
from nyc_flights.parity import EVIDENCE

HERE = Path(__file__).parent
YEARS = (1, 3, 10)
LIMIT_SECONDS = 900
LOOK_SECONDS = 0.2
MIB = 2**20
DATABASE, SPARK, SCRATCH = "data/warehouse.duckdb", "data/spark", "scratch"
PUBLISHING = "operation.martfeast.martfeast-on-run-end-1"
# Spark's processes hold 3 GB: what DuckDB does with as much.
LIMIT, ROOMY = "memory_limit: 1500MB", "memory_limit: 3GB"
ENGINES = {"dev": "DuckDB", "roomy": f"DuckDB, `{ROOMY}`", "spark": "Spark"}
KINDS = {"models": ("model", "seed"), "data tests": ("test",), "unit tests": ("unit_test",)}


@dataclass(frozen=True)
class Watched(Cost):
    """What a command cost; the peaks are of all its processes together.

    scratch_mib: the peak of what the engine kept in temporary files.
    """

    scratch_mib: float


@dataclass(frozen=True)
class Built:
    """A build and its publishing on one engine, for so many years of flights.

    rows: of all tables but the evidence; mib: of all tables on disk. kinds: seconds that dbt spent
    on each of KINDS, over its two threads. publishing: cells of a table, with the seconds of the
    build's hook, or with those of the command and the peak of its memory in MiB.
    """

    cost: Watched
    rows: int
    mib: float
    kinds: dict[str, float]
    publishing: str


# By the years of data: the flights in them, and what each target did, or why it did not.
Sizes = dict[int, tuple[int, dict[str, Built | str]]]


class Stopped(Exception):
    """A command that took too long, or failed: what to say of it."""


def watch(project: Path, *command: str) -> Watched:
    """Run a command of the environment in a project, and look at all its processes meanwhile.

    Raises:
        Stopped: it took longer than LIMIT_SECONDS, or failed.

    """
    processors: dict[int, float] = {}
    memory = scratch = 0
    places = [project / SCRATCH, project / f"{DATABASE}.tmp"]
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = psutil.Popen(
            [BIN / command[0], *command[1:]],
            cwd=project,
            env={**os.environ, "SPARK_LOCAL_DIRS": str(project / SCRATCH)},
            stdout=said,
            stderr=said,
        )
        while process.poll() is None:
            resident = 0
            family = list(family_of(process))
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    resident += one.memory_info().rss
                    times = one.cpu_times()
                    processors[one.pid] = times.user + times.system
            memory = max(memory, resident)
            scratch = max(scratch, sum(map(bytes_in, places)))
            if time.monotonic() - started > LIMIT_SECONDS:
                for one in family:
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                process.wait()
                raise Stopped(f"stopped after {LIMIT_SECONDS} s, at {memory / MIB:,.0f} MiB")
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            said.seek(0)
            print(said.read().decode(), file=sys.stderr)
            raise Stopped(f"failed after {seconds:.0f} s, at {memory / MIB:,.0f} MiB")
    return Watched(seconds, sum(processors.values()), memory / MIB, scratch / MIB)


def family_of(process: psutil.Process) -> Iterator[psutil.Process]:
    """Yield a process and all that it started, as far as they still run.

    A program that is being started is for a moment a copy of the one that starts it, whose memory
    it shares; Java starts many. Such a copy is left out.
    """
    with suppress(psutil.NoSuchProcess):
        yield process
        commands = {process.pid: process.cmdline()}
        for one in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                commands[one.pid] = one.cmdline()
                if commands[one.pid] != commands.get(one.ppid()):
                    yield one


def bytes_in(place: Path) -> int:
    """Return the size of a file, or of the files in a folder; 0 if there is none."""
    total = 0
    for file in [place, *place.rglob("*")]:
        with suppress(OSError):  # temporary files come and go
            total += file.stat().st_size if file.is_file() else 0
    return total


def rows_on(target: str, project: Path) -> int:
    """Return the rows of all tables that were built, the evidence left out."""
    if target == "dev":
        with duckdb.connect(str(project / DATABASE), read_only=True) as connection:
            query = "select sum(estimated_size) from duckdb_tables() where schema_name not in ?"
            return int(connection.execute(query, [EVIDENCE]).fetchall()[0][0])
    files = [
        str(file)
        for file in (project / SPARK / "warehouse").rglob("*.parquet")
        if not {f"{schema}.db" for schema in EVIDENCE} & set(file.parts)
    ]
    query = "select sum(num_rows) from parquet_file_metadata(?)"
    return int(duckdb.execute(query, [files]).fetchall()[0][0])


def build(engine: str, project: Path) -> Built:
    """Build and publish on one of ENGINES in a landed project, anew.

    Raises:
        Stopped: it took too long, or failed.

    """
    target = "spark" if engine == "spark" else "dev"
    if engine == "roomy":
        profiles = project / "profiles.yml"
        profiles.write_text(profiles.read_text().replace(LIMIT, ROOMY))
        (project / DATABASE).unlink(missing_ok=True)
        shutil.rmtree(project / "data/published", ignore_errors=True)
    cost = watch(project, "dbt", "build", "--target", target)
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    spent = [(str(one["unique_id"]), float(one["execution_time"])) for one in results]
    kinds = {
        kind: sum(seconds for name, seconds in spent if name.split(".")[0] in types)
        for kind, types in KINDS.items()
    }
    publishing = f"{dict(spent)[PUBLISHING]:.1f}"
    if target == "spark":
        try:
            published = watch(project, "martfeast", "publish", "--target", target)
            publishing = f"{published.seconds:.1f} | {published.peak_mib:,.0f}"
        except Stopped as stopped:
            publishing = f"{stopped} |"
    place = DATABASE if target == "dev" else f"{SPARK}/warehouse"
    mib = bytes_in(project / place) / MIB
    return Built(cost, rows_on(target, project), mib, kinds, publishing)


def measure(years: int, source: Path, targets: list[str]) -> tuple[int, dict[str, Built | str]]:
    """Return the flights in so many years, and what each target did with them."""
    with tempfile.TemporaryDirectory(prefix="martfeast-spark-", dir=HERE.parent / "data") as name:
        project = Path(name)
        copy_project(project)
        run(project, "dbt", "deps")
        land = ("python", "-m", "nyc_flights.landing", "--scale", str(years))
        run(project, *land, "--source", str(source), "--to", str(project / "data/landed"))
        landed = json.loads((project / "data/landed/current/landing.json").read_text())["files"]
        flights = next(file["rows"] for file in landed if file["name"] == "flights")
        found: dict[str, Built | str] = {}
        for target in targets:
            try:
                found[target] = build(target, project)
            except Stopped as stopped:
                found[target] = str(stopped)
            print(years, target, found[target], flush=True)
    return flights, found


def tables(sizes: Sizes) -> list[str]:
    """Return the tables of builds and of publishing, by the years of data."""
    builds = [
        "| years | flights | engine | seconds | of processors | memory, MiB | scratch, MiB"
        f" | rows built | tables, MiB | {' | '.join(KINDS)} |",
        f"| ---: | ---: | --- |{' ---: |' * (6 + len(KINDS))}",
    ]
    published = [
        f"| years | DuckDB with `{ROOMY}`, a hook of `dbt build`, seconds"
        " | Spark, `martfeast publish`, seconds"
        " | its memory, MiB |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for years, (flights, found) in sizes.items():
        for target, one in found.items():
            row = f"| {years} | {flights:,} | {ENGINES[target]} |"
            if isinstance(one, str):
                builds.append(f"{row} {one} |{' |' * (5 + len(KINDS))}")
                continue
            spent = " | ".join(f"{seconds:.0f}" for seconds in one.kinds.values())
            builds.append(
                f"{row} {one.cost.seconds:.0f} | {one.cost.processor_seconds:.0f} |"
                f" {one.cost.peak_mib:,.0f} | {one.cost.scratch_mib:,.0f} | {one.rows:,} |"
                f" {one.mib:,.0f} | {spent} |"
            )
        pair = both(found)
        if pair:
            published.append(f"| {years} | {pair[0].publishing} | {pair[1].publishing} |")
    return ["## `dbt build`", "", *builds, "", "## Publishing", "", *published]


def both(found: dict[str, Built | str]) -> tuple[Built, Built] | None:
    """Return what both engines built, unless one of them did not."""
    on_duckdb, on_spark = found.get("roomy"), found.get("spark")
    if isinstance(on_duckdb, Built) and isinstance(on_spark, Built):
        return on_duckdb, on_spark
    return None


def comparison(sizes: Sizes) -> list[str]:
    """Return Spark next to DuckDB by the years, and where a line through the ends has Spark win."""
    pairs = {years: pair for years, (_, found) in sizes.items() if (pair := both(found))}
    lines = [
        f"## Spark next to DuckDB with `{ROOMY}`",
        "",
        "| years | `dbt build` | of processors | memory | tables on disk | rows built |",
        "| ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for years, (duck, spark) in pairs.items():
        same = "as many" if duck.rows == spark.rows else f"{spark.rows - duck.rows:+,}"
        lines.append(
            f"| {years} | {spark.cost.seconds / duck.cost.seconds:.1f} |"
            f" {spark.cost.processor_seconds / duck.cost.processor_seconds:.1f} |"
            f" {spark.cost.peak_mib / duck.cost.peak_mib:.1f} | {spark.mib / duck.mib:.1f} |"
            f" {same} |"
        )
    if len(pairs) < 2:
        return lines
    least, most = min(pairs), max(pairs)
    starts, slopes = [], []
    for first, last in zip(pairs[least], pairs[most], strict=True):
        slopes.append((last.cost.seconds - first.cost.seconds) / (most - least))
        starts.append(first.cost.seconds - slopes[-1] * least)
    meet = (starts[1] - starts[0]) / (slopes[0] - slopes[1]) if slopes[0] > slopes[1] else 0
    return [
        *lines,
        "",
        f"On a line through {least} and {most} years, a further year takes DuckDB"
        f" {slopes[0]:.1f} s and Spark {slopes[1]:.1f} s, and no data at all {starts[0]:.0f} s and"
        f" {starts[1]:.0f} s. "
        + (
            f"If both lines went on like that, Spark would be the faster from {meet:,.0f} years on."
            if meet > 0
            else "Spark is the faster nowhere on such lines."
        ),
    ]


def page(sizes: Sizes, load: float) -> list[str]:
    """Return the lines of the page; load is the machine's before the run."""
    memory = psutil.virtual_memory().total / 2**30
    return [
        "# DuckDB and Spark, measured",
        "",
        "Written by `make measure-spark` (benchmarks/spark.py), which says how."
        f" {os.cpu_count()} cores, {memory:.0f} GiB; load before the run {load:.1f}. The flights"
        " project as it is: DuckDB within `memory_limit: 1500MB`, Spark in local mode with 2 GB for"
        " Java (profiles.yml). Builds have all data tests and unit tests, and start-up. What a"
        " build spent on models and tests is dbt's own account, over two threads.",
        "",
        *tables(sizes),
        "",
        *comparison(sizes),
    ]


def main() -> int:
    """Measure and write the page; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--years", type=int, nargs="+", default=YEARS, help="(%(default)s)")
    parser.add_argument("--source", type=Path, help="CSV files in place of the sample year")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    sizes: Sizes = {}
    for years in options.years:
        targets = [
            target
            for target in ENGINES
            if all(
                less > years or isinstance(found.get(target), Built)
                for less, (_, found) in sizes.items()
            )
        ]
        sizes[years] = measure(years, options.source or package_folder(), targets)
        text = "\n".join(page(dict(sorted(sizes.items())), load))
        (HERE / "spark.md").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
