"""Measure what it costs to publish one more day of a mart, whole and in partitions.

``python benchmarks/partitions.py`` publishes marts of thirty days in a temporary folder, changes
one day, publishes again, and writes partitions.md beside this file. Times are of dbt's hooks at the
end of a build, by the clock, the least of three; building the mart and starting dbt are not in.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from dataset import run

HERE = Path(__file__).parent
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


def main() -> int:
    """Measure all ways and sizes in one run, and write partitions.md."""
    lines = [
        "# Publishing one more day, measured",
        "",
        "Written by `make measure-partitions` (benchmarks/partitions.py)."
        f" {os.cpu_count()} cores. A mart of {DAYS} days is"
        " built, one day of it changes, and it is published again: seconds of the hooks at the end"
        f" of dbt's build, by the clock, the least of {BUILDS}, and what the new version takes on"
        " the disk. The ratio is that of the seconds to those of the mart published whole, in the"
        " same run.",
        "",
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
            print(lines[-1])
    (HERE / "partitions.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
