"""The flights run by Prefect, in process and served: ``python -m nyc_flights.prefect_run``."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nyc_flights.ports import free_port

PROJECT = Path(__file__).parents[2]
HOME = PROJECT / "data/prefect"
MODULE = "martfeast.orchestration.prefect"
A_DAY = {
    "marts": ["carrier_performance_hourly"],
    "start": "2013-03-05T00:00:00",
    "end": "2013-03-06T00:00:00",
}
PORT = 4210
START_SECONDS, RUN_SECONDS = 180, 1800


def main() -> None:
    """Make everything in a landed project, then a past day by the served flow.

    Raises:
        SystemExit: a run failed; Prefect has said why.

    """
    with server() as address:
        os.environ["PREFECT_API_URL"] = address
        began = time.monotonic()
        once = [sys.executable, "-m", MODULE, ".", "--run"]
        if code := subprocess.run(once, cwd=PROJECT, check=False).returncode:
            raise SystemExit(code)
        print(f"\nIn process: everything made in {time.monotonic() - began:.0f} s.")
        with running(sys.executable, "-m", MODULE, ".", "--cron", "30 6 * * *") as serving:
            run_by_api(serving)
        if sys.stdout.isatty():
            print(f"\nThe runs are at {address.removesuffix('/api')}; Ctrl-C ends it.")
            while True:
                time.sleep(60)


@contextmanager
def server() -> Iterator[str]:
    """Run Prefect's server on 127.0.0.1; the address of its API."""
    HOME.mkdir(parents=True, exist_ok=True)
    os.environ |= {"PREFECT_HOME": str(HOME), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    port = str(free_port(PORT))
    program = str(Path(sys.executable).with_name("prefect"))
    with running(program, "server", "start", "--host", "127.0.0.1", "--port", port) as process:
        address = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: answers(f"{address}/health"), process, START_SECONDS)
        yield address


@contextmanager
def running(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in the project for as long as this lasts."""
    with subprocess.Popen(command, cwd=PROJECT) as process:
        try:
            yield process
        finally:
            process.terminate()


def run_by_api(serving: "subprocess.Popen[bytes]") -> None:
    """Ask the API for a past day of a mart, and wait until the served flow has made it."""
    from prefect.client.orchestration import get_client

    began = time.monotonic()
    with get_client(sync_client=True) as client:
        found = wait_for(
            lambda: client.request("POST", "/deployments/filter", json={}).json(),
            serving,
            START_SECONDS,
        )
        run_id = client.create_flow_run_from_deployment(found[0]["id"], parameters=A_DAY).id

        def ended() -> Any:
            state = client.read_flow_run(run_id).state
            return state if state and state.is_final() else None

        state = wait_for(ended, serving, RUN_SECONDS)
    if not state.is_completed():
        raise SystemExit(f"Flow run {run_id} ended as {state.name}: {state.message}")
    print(f"By the API: a day made anew in {time.monotonic() - began:.0f} s.")


def answers(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def wait_for(
    condition: Callable[[], Any], process: "subprocess.Popen[bytes]", seconds: float
) -> Any:
    """Wait until something is found, and return it.

    Raises:
        SystemExit: the process that is waited for has ended, or it takes too long.

    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"It ended, or was not done within {seconds:.0f} s.")
        time.sleep(1)
    return found


if __name__ == "__main__":
    main()
