"""Measure what a wrong time stamp would seem to be worth, and what a replay costs.

``python benchmarks/replay.py`` writes benchmarks/replay.md. It needs a built project (`make run`).
Costs are seconds of whole commands, run one after the other on one machine, medians of three.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CUTS = ("2013-11-28T21:05:00", "2013-11-13T18:59:00", "2013-10-16T12:54:00", "2013-09-10T15:30:00")

STAMPED = """
with flights as (
    select
        schedules.origin_airport_code as origin,
        schedules.scheduled_departure_at - to_minutes($ahead) as asked_at,
        schedules.scheduled_departure_at,
        departures.departed_at,
        departures.departure_delay_minutes,
        arrivals.arrival_delay_minutes
    from intermediate.int_flight_schedules as schedules
    left join intermediate.int_flight_departures as departures using (flight_id)
    left join intermediate.int_flight_arrivals as arrivals using (flight_id)
),
at_window_start as (
    select origin, date_trunc('hour', scheduled_departure_at) as known_at,
        avg(departure_delay_minutes) as mean_delay
    from flights group by all
),
on_scheduled_time as (
    select origin, date_trunc('hour', scheduled_departure_at) + interval 1 hour as known_at,
        avg(departure_delay_minutes) as mean_delay
    from flights group by all
),
on_knowledge_time as (
    select origin, date_trunc('hour', departed_at) + interval 1 hour as known_at,
        avg(departure_delay_minutes) as mean_delay
    from flights where departed_at is not null group by all
)
select
    corr(at_window_start.mean_delay, arrival_delay_minutes),
    corr(on_scheduled_time.mean_delay, arrival_delay_minutes),
    corr(on_knowledge_time.mean_delay, arrival_delay_minutes),
    count(arrival_delay_minutes)
from flights
asof left join at_window_start
    on flights.origin = at_window_start.origin and asked_at >= at_window_start.known_at
asof left join on_scheduled_time
    on flights.origin = on_scheduled_time.origin and asked_at >= on_scheduled_time.known_at
asof left join on_knowledge_time
    on flights.origin = on_knowledge_time.origin and asked_at >= on_knowledge_time.known_at
"""


def correlations() -> list[str]:
    """Return a table of the feature's correlation with the arrival delay, by its time stamp."""
    lines = [
        "## What a wrong stamp would seem to be worth",
        "",
        "Mean departure delay of the origin's last hour (minutes), correlated with the arrival"
        " delay of the flight (minutes), joined as of the moment in the first column.",
        "",
        "| asked | stamped at the window's start | stamped on scheduled time"
        " | stamped on knowledge time |",
        "| --- | ---: | ---: | ---: |",
    ]
    with duckdb.connect(str(ROOT / "data/warehouse.duckdb"), read_only=True) as warehouse:
        for ahead, words in ((0, "at departure"), (120, "two hours before")):
            row = warehouse.execute(STAMPED, {"ahead": ahead}).fetchall()[0]
            lines.append(
                f"| {words}, {row[3]:,} flights | " + " | ".join(f"{v:.2f}" for v in row[:3]) + " |"
            )
    return [*lines, ""]


def seconds(*command: str) -> float:
    """Return the seconds that a command takes, the median of three."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    times = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    return sorted(times)[1]


def costs() -> list[str]:
    """Return a table of what replays of all exposed marts cost, next to a build of them."""
    marts = [
        line.split()[0]
        for line in subprocess.run(
            [BIN / "martfeast", "status"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.splitlines()
        if " ok " in line
    ]
    with tempfile.TemporaryDirectory() as target:
        # The models alone, into a scratch target folder; the warehouse gets the same rows again.
        options = ["--target-path", target, "--log-path", target]
        build = seconds(
            str(BIN / "dbt"), "build", *options, "--select", *(f"+{mart}" for mart in marts)
        )
    found = {"`dbt build` of the exposed marts and what they are made of": build}
    for count in (1, 4):
        at = [argument for cut in CUTS[:count] for argument in ("--at", cut)]
        words = (
            f"`martfeast replay`, {count} late cut{'s' * (count > 1)}, with the check of serving"
        )
        found[words] = seconds(str(BIN / "martfeast"), "replay", *at)
    found["`martfeast replay`, the default"] = seconds(str(BIN / "martfeast"), "replay")
    lines = [
        "## What a replay costs",
        "",
        "| command | seconds | next to the build |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {words} | {took:.1f} | {took / build:.2f} |" for words, took in found.items()]
    return [*lines, ""]


def main() -> None:
    """Measure, and write the page."""
    head = [
        "# Knowledge time and replays, measured",
        "",
        f"Written by `make measure-replay` (benchmarks/replay.py). {os.cpu_count()} cores.",
        "",
    ]
    page = "\n".join([*head, *correlations(), *costs()])
    (ROOT / "benchmarks/replay.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
