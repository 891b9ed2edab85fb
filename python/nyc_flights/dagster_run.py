"""The flights run by Dagster, in process and served: ``python -m nyc_flights.dagster_run``."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster_graphql import DagsterGraphQLClient

from nyc_flights.ports import free_port

PROJECT = Path(__file__).parents[2]
HOME = PROJECT / "data/dagster"
# One run of a pool at a time, which is what a pool of one writer means.
SETTINGS = """concurrency:
  pools:
    default_limit: 1
telemetry:
  enabled: false
nux:
  enabled: false
"""
JOB, MODULE = "nyc_flights_all", "nyc_flights.in_dagster"
A_DAY = "2013-03-05"
PORT = 3333
START_SECONDS, RUN_SECONDS = 180, 1800


def main() -> None:
    """Make everything in a landed project, then a past day by the web server's API.

    Raises:
        SystemExit: a run failed; Dagster has said why.

    """
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "dagster.yaml").write_text(SETTINGS)
    os.environ["DAGSTER_HOME"] = str(HOME)
    run_in_process()
    with served() as port:
        run_by_api(port)
        if sys.stdout.isatty():
            print(f"\nThe graph is at http://127.0.0.1:{port}/asset-groups; Ctrl-C ends it.")
            while True:
                time.sleep(60)


def run_in_process() -> None:
    """Run the whole project for the newest day, as its schedule would."""
    from nyc_flights.in_dagster import defs

    job = defs.get_repository_def().get_job(JOB)
    assert job.partitions_def is not None, "no mart has batches"
    newest = job.partitions_def.get_last_partition_key()
    began = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance, partition_key=newest, raise_on_error=False
        )
    made = {event.asset_key for event in result.all_events if event.is_step_materialization}
    checks = [
        event for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    if not result.success:
        raise SystemExit("The run failed: Dagster has said why.")
    seconds = time.monotonic() - began
    print(f"\nIn process: {len(made)} assets made, {len(checks)} checks, in {seconds:.0f} s.")


@contextmanager
def served() -> Iterator[int]:
    """Serve the flights' code location on 127.0.0.1; the port."""
    port = free_port(PORT)
    # With the daemon that starts runs which were asked for, and schedules.
    command = ["dagster", "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    program = str(Path(sys.executable).with_name(command[0]))
    with subprocess.Popen([program, *command[1:]], cwd=PROJECT) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/server_info", server)
            yield port
        finally:
            server.terminate()


def run_by_api(port: int) -> None:
    """Ask the web server for a past day of everything, and wait until it is made."""
    client = DagsterGraphQLClient("127.0.0.1", port_number=port)
    began = time.monotonic()
    run_id = client.submit_job_execution(JOB, tags={"dagster/partition": A_DAY})
    while (status := client.get_run_status(run_id)) not in (
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
    ):
        if time.monotonic() - began > RUN_SECONDS:
            raise SystemExit(f"Run {run_id} is {status.value} after {RUN_SECONDS} s.")
        time.sleep(2)
    if status != dg.DagsterRunStatus.SUCCESS:
        raise SystemExit(f"Run {run_id} ended as {status.value}.")
    print(f"By the web server: {A_DAY} made anew in {time.monotonic() - began:.0f} s.")


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise SystemExit(f"Dagster's web server did not answer at {url}.")


if __name__ == "__main__":
    main()
