"""Measure what one more day costs, next to building everything anew.

``python benchmarks/increments.py`` writes increments.md and increments.png beside this file, from
two measurements in temporary folders. The flights are landed up to the day before their last one,
built, landed whole and built again, for 1, 3 and 10 years of them, and for a month: what that
takes is what dbt takes by itself. And marts of thirty days are published, one day of them changes,
and they are published again.
"""

import json
import os
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from dataset import run
from measure_run import copy_project
from nyc_flights.landing import package_folder

HERE = Path(__file__).parent
YEARS = (1, 3, 10)
# A month: a project of hardly any rows, and none too few for the tests of its labels.
FIRST_MONTH = "2013-01-31"
# Ten years do not fit into the profile's limit.
LIMIT, ROOMY = "memory_limit: 1500MB", "memory_limit: 6GB"
PACKAGE = HERE.parent / "python/martfeast/dbt_package"
SIZES = (720_000, 7_200_000)
DAYS = 30
BUILDS = 3
LINKS = "plugins: [{module: martfeast.publishing.links}]"
# How a mart is published: what its YAML and the profile say for that.
WAYS = {
    "whole": ("", ""),
    "in days, copied": ("batch: {size: day}", ""),
    "in days, linked": ("batch: {size: day}", LINKS),
}
# Seconds by the clock, and those of each kind of node over dbt's threads.
Build = tuple[float, dict[str, float]]
PROJECT = """name: increments
version: "0.1.0"
profile: increments
flags: {send_anonymous_usage_stats: false}
vars: {martfeast: {published_path: out/published}, changed: 0}
models: {increments: {+materialized: table}}
"""
PROFILE = """increments:
  target: dev
  outputs:
    dev: {type: duckdb, path: increments.duckdb, settings: {TimeZone: UTC}, PLUGINS}
"""
MODEL = """select
    cast(range % 1000 as bigint) as sensor_id,
    timestamp '2026-01-01' + to_microseconds(cast(range * {step} as bigint)) as known_at,
    cast(hash(range) % 10007 as double) / 7 + case
        when range // {per_day} = {last_day} then {{{{ var('changed') }}}} else 0
    end as reading,
    cast(hash(range, 1) % 1009 as bigint) as reading_count,
    'site ' || (range % 50) as site
from range({rows})
"""
YAML = """models:
  - name: readings
    description: A row for each reading.
    config:
      contract: {enforced: true}
      meta:
        feast:
          timestamp: known_at
          restatement: {expected: The last day is corrected.}
          BATCH
    columns:
      - {name: sensor_id, data_type: bigint, config: {meta: {feast: {entity: sensor}}}}
      - {name: known_at, data_type: timestamp, data_tests: [not_null]}
      - {name: reading, data_type: double}
      - {name: reading_count, data_type: bigint}
      - {name: site, data_type: varchar}
"""


def write_project(folder: Path, rows: int, batch: str, plugins: str) -> None:
    """Write a dbt project of one mart with as many rows."""
    per_day = rows // DAYS
    step = 86_400_000_000 // per_day
    model = MODEL.format(rows=rows, per_day=per_day, last_day=DAYS - 1, step=step)
    files = {
        "dbt_project.yml": PROJECT,
        "profiles.yml": PROFILE.replace(", PLUGINS", f", {plugins}" if plugins else ""),
        "packages.yml": f"packages:\n  - local: {PACKAGE}\n",
        "models/readings.sql": model,
        "models/readings.yml": YAML.replace("BATCH", batch or "# published whole"),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def hook_seconds(project: Path) -> float:
    """Return how long the hooks took at the end of the last run of dbt."""
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    return float(sum(one["execution_time"] for one in results if "on-run-end" in one["unique_id"]))


def written_bytes(version: Path) -> int:
    """Return how much of a version is on the disk for it alone."""
    files = version.iterdir() if version.is_dir() else [version]
    states = [file.stat() for file in files if file.suffix == ".parquet"]
    return sum(state.st_size for state in states if state.st_nlink == 1)


def measure(rows: int, batch: str, plugins: str) -> tuple[float, float, float]:
    """Return seconds of the first publishing and of one more day's, and that one's mebibytes."""
    with tempfile.TemporaryDirectory(prefix="martfeast-increments-") as name:
        project = Path(name)
        write_project(project, rows, batch, plugins)
        run(project, "dbt", "deps")
        run(project, "dbt", "build", "--select", "readings")
        first, more = hook_seconds(project), []
        for number in range(1, BUILDS + 1):
            changed = f"changed: {number}"
            run(project, "dbt", "build", "--select", "readings", "--vars", changed)
            more.append(hook_seconds(project))
        release = json.loads((project / "out/published/current.json").read_text())
        (mart,) = release["marts"]
        assert release["release_number"] == 1 + BUILDS
        size = written_bytes(project / "out/published" / mart["path"])
    return first, min(more), size / 2**20


def kinds_of(project: Path) -> dict[str, float]:
    """Return the seconds that dbt spent on each kind of node in its last run, all threads'."""
    kinds: dict[str, float] = {}
    for one in json.loads((project / "target/run_results.json").read_text())["results"]:
        kind = one["unique_id"].split(".")[0]
        kinds[kind] = kinds.get(kind, 0.0) + one["execution_time"]
    return kinds


def build(project: Path, *arguments: str) -> tuple[float, dict[str, float]]:
    """Return the seconds of `dbt build` by the clock, and those of its kinds of nodes."""
    seconds = run(project, "dbt", "build", *arguments).seconds
    return seconds, kinds_of(project)


def measure_day(years: int) -> tuple[Build, Build]:
    """Return what the whole build took, and what the last day's took; 0 years are a month."""
    last = date(2012 + years, 12, 31) if years else date.fromisoformat(FIRST_MONTH)
    source = ["--source", str(package_folder()), "--scale", str(max(years, 1))]
    with tempfile.TemporaryDirectory(prefix="martfeast-day-") as name:
        project = Path(name) / "project"
        copy_project(project)
        profile = (project / "profiles.yml").read_text()
        assert LIMIT in profile
        (project / "profiles.yml").write_text(profile.replace(LIMIT, ROOMY))
        land = ("python", "-m", "nyc_flights.landing", "--to", "data/landed", *source)
        run(project, "dbt", "deps")
        run(project, *land, "--until", str(last - timedelta(days=1)))
        run(project, "dbt", "parse")
        whole = build(project)
        run(project, *land, "--until", str(last))
        day = build(project)
        releases = json.loads((project / "data/published/current.json").read_text())
        assert releases["release_number"] == 2
        assert not any(mart["held_back"] for mart in releases["marts"])
    return whole, day


def draw(found: dict[int, tuple[Build, Build]]) -> None:
    """Draw seconds over years of data, of the whole build and of the day's."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for number, label in enumerate(("everything built", "one more day")):
        seconds = [found[years][number][0] for years in YEARS]
        axes.plot(YEARS, seconds, marker="o", label=label)
    axes.axhline(found[0][1][0], linestyle="--", color="grey", label="one more day, of a month")
    axes.set(xlabel="years of flights", ylabel="seconds", ylim=(0, None), xticks=YEARS)
    axes.legend()
    figure.savefig(HERE / "increments.png", dpi=120)


def day_lines() -> list[str]:
    """Measure a day of the flights; return the page's section."""
    found = {years: measure_day(years) for years in (0, *YEARS)}
    draw(found)
    floor = found[0][1][0]
    lines = [
        "| flights | everything built, s | one more day, s | ratio | the same less what a month"
        " take | models | data tests | publishing |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for years, (whole, day) in found.items():
        what = f"{years} year{'s' if years > 1 else ''}" if years else "a month"
        less = f"{(day[0] - floor) / (whole[0] - floor):.2f}" if years else ""
        kinds = (day[1].get(kind, 0.0) for kind in ("model", "test", "operation"))
        lines.append(
            f"| {what} | {whole[0]:.0f} | {day[0]:.0f} | {day[0] / whole[0]:.2f} | {less} |"
            f" {' | '.join(f'{seconds:.1f}' for seconds in kinds)} |"
        )
        print(lines[-1], flush=True)
    return lines


def published_lines() -> list[str]:
    """Measure publishing one more day of a mart; return the page's section."""
    lines = [
        "| rows | published | first time, s | one day more, s | ratio | on the disk, MiB |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for rows in SIZES:
        whole = 0.0
        for way, (batch, plugins) in WAYS.items():
            first, more, size = measure(rows, batch, plugins)
            whole = whole or more
            lines.append(
                f"| {rows:,} | {way} | {first:.1f} | {more:.1f} | {more / whole:.2f} | {size:.1f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> int:
    """Measure both in one run, and write increments.md."""
    lines = [
        "# One more day, measured",
        "",
        f"Written by `make measure-increments` (benchmarks/increments.py). {os.cpu_count()} cores,"
        " seconds by the clock.",
        "",
        "## A day of the flights",
        "",
        "`dbt build` of the whole project, its 8 exposed marts among them: all models, data tests"
        " and unit tests, and the publishing at its end. First everything is built; then the last"
        " day is landed and `dbt build` runs again. Beside it, of the second run, the seconds that"
        f" dbt counts, over its two threads. DuckDB with `{ROOMY}`.",
        "",
        *day_lines(),
        "",
        "![Seconds over years of flights](increments.png)",
        "",
        "Of a month of flights there is next to nothing to compute: what that takes is dbt, which"
        " starts, compiles and runs each of its nodes, whatever is in them.",
        "",
        "## Publishing a day of one mart",
        "",
        f"A mart of {DAYS} days is built, one day of it changes, and it is published again:"
        f" seconds of the hooks at the end of dbt's build, the least of {BUILDS}, and what the new"
        " version takes on the disk. The ratio is that of the seconds to those of the mart"
        " published whole.",
        "",
        *published_lines(),
    ]
    (HERE / "increments.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
