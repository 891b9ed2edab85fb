"""Measure what one more day costs, next to building everything anew.

``python benchmarks/increments.py`` writes increments.md and increments.png beside this file. The
flights are landed up to the day before their last one in a temporary folder, built, landed whole
and built again, for 1, 3 and 10 years of them, and for a month: what that takes is what dbt takes
by itself. partitions.py measures publishing alone.
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
# Seconds by the clock, and those of each kind of node over dbt's threads.
Build = tuple[float, dict[str, float]]


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
        project.mkdir()
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


def main() -> int:
    """Measure in one run, and write increments.md."""
    lines = [
        "# One more day of the flights, measured",
        "",
        f"Written by `make measure-increments` (benchmarks/increments.py). {os.cpu_count()} cores,"
        " seconds by the clock.",
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
        "Of a month of flights there is next to nothing to compute: what a day of that takes is"
        " dbt, which starts, compiles and runs each of its nodes, whatever is in them. A day can"
        " take no smaller share of the whole than that does.",
    ]
    (HERE / "increments.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
