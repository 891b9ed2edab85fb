"""A project in Prefect: real runs of it against Prefect's own server."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import prefect.settings
import pytest
from conftest import Library, copy_library
from daily import ACTIVITY, LABELS, SEED, TITLES, make_daily, seed_of
from martfeast.orchestration.command import Command, Running
from martfeast.orchestration.prefect import build, flow_for
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import Cancelling, Scheduled
from prefect.testing.utilities import prefect_test_harness

pytestmark = pytest.mark.slow
START_SECONDS = 180
SERVICE = "overdue_prediction"
TEST = "test overdue_share_is_a_share"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """Prefect's server on 127.0.0.1, with a home of its own; its address."""
    home = tmp_path_factory.mktemp("prefect")
    settings = {
        prefect.settings.PREFECT_HOME: home,
        prefect.settings.PREFECT_LOCAL_STORAGE_PATH: home / "storage",
        prefect.settings.PREFECT_SERVER_ANALYTICS_ENABLED: False,
    }
    with (
        prefect.settings.temporary_settings(updates=settings),
        prefect_test_harness(server_startup_timeout=START_SECONDS),
    ):
        yield str(prefect.settings.PREFECT_API_URL.value())


class Ran:
    """What a flow run did, as Prefect's API tells it."""

    def __init__(self, state) -> None:
        self.state = state
        self.id = state.state_details.flow_run_id
        with get_client(sync_client=True) as client:
            ids = {"any_": [str(self.id)]}
            self.runs = self._settled(client, ids)
            artifacts = client.request("POST", "/artifacts/filter", json={"flow_runs": {"id": ids}})
            self.artifacts = {one["key"]: one for one in artifacts.json()}
            time.sleep(2.5)  # logs are sent every two seconds
            self.logs, offset = [], 0
            while page := self._logs(client, ids, offset):
                self.logs += page
                offset += len(page)

    def _settled(self, client, ids):
        """Return the task runs, which the server hears of a little later than the flow's end."""
        for _ in range(40):
            asked = {"flow_runs": {"id": ids}, "limit": 200}
            runs = client.request("POST", "/task_runs/filter", json=asked).json()
            final = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
            if runs and all(one["state_type"] in final for one in runs):
                break
            time.sleep(0.25)
        return runs

    def _logs(self, client, ids, offset):
        asked = {
            "logs": {"flow_run_id": ids},
            "limit": 200,
            "offset": offset,
            "sort": "TIMESTAMP_ASC",
        }
        return client.request("POST", "/logs/filter", json=asked).json()

    @property
    def states(self):
        """The name of each task's last state; of several runs of one, that of the newest."""
        newest = sorted(self.runs, key=lambda run: run["created"])
        return {run["name"]: run["state_name"] for run in newest}

    def named(self, state):
        return {name for name, found in self.states.items() if found == state}

    def commands(self, start):
        return [one["message"] for one in self.logs if one["message"].startswith(start)]

    def said(self, name):
        """What was logged by a task."""
        [run] = [run for run in self.runs if run["name"] == name]
        return [one["message"] for one in self.logs if one["task_run_id"] == run["id"]]


def run(library, *, options=(), **parameters):
    with library.inside(library.path):
        return Ran(flow_for(library.path, **dict(options))(**parameters, return_state=True))


@pytest.fixture(scope="module")
def made(server, parsed_library, tmp_path_factory) -> Ran:
    """A first run of a project; its library comes along."""
    library = copy_library(tmp_path_factory.mktemp("made") / "project")
    make_daily(library)
    shutil.copytree(
        parsed_library.path / "dbt_packages", library.path / "dbt_packages", symlinks=True
    )
    ran = run(library, options={"retries": 0})
    ran.library = library
    return ran


@pytest.fixture
def library(made, tmp_path) -> Library:
    """A copy of what a first run has made, without Feast, to run again."""
    ignored = shutil.ignore_patterns("feature_repo", "datasets", "logs")
    shutil.copytree(made.library.path, tmp_path / "project", symlinks=True, ignore=ignored)
    return Library(tmp_path / "project")


def test_a_whole_run_goes_from_seeds_to_a_dataset(made):
    assert made.state.is_completed(), made.state.message
    assert set(made.states.values()) == {"Completed"}
    nodes = {
        *(f"seed {name}" for name in ("shelf_checks", "member_days", "loan_events")),
        *(f"model {name}" for name in (TITLES, ACTIVITY, LABELS, "loans", "mart_readiness")),
        *(TEST, "test no_negative_loans", "unit test genres_are_split"),
    }
    stages = {
        "status",
        "replay",
        "gate",
        "feast apply",
        "materialize",
        "dataset overdue_prediction",
    }
    assert nodes | stages <= set(made.states)
    assert len(made.commands("dbt --")) == 1, "one dbt for all nodes"
    assert any(
        f"created sql incremental model main.{TITLES}" in one
        for one in made.said(f"model {TITLES}")
    )
    assert not any(TITLES in one for one in made.said(f"model {ACTIVITY}")), "logs by node"
    assert "| title_availability | ready |" in made.artifacts["library-gate"]["data"]
    assert (
        "| title_availability | never knew the future |" in made.artifacts["library-replay"]["data"]
    )
    assert "| rows | 3 |" in made.artifacts["library-dataset-overdue-prediction"]["data"]
    card = made.artifacts["library-dataset-overdue-prediction-card"]["data"]
    assert Path(card.partition("(file://")[2].rstrip(")")).exists(), card
    assert made.library.registry.exists()
    assert (made.library.path / "feature_repo/data/online_store.db").exists()


def test_what_is_made_of_seeds_is_not_made_again_while_it_is_as_it_was(made, library):
    library.execute("drop table main.loan_labels")
    ran = run(library)
    assert ran.state.is_completed(), ran.state.message
    [command] = ran.commands("dbt --")
    assert f"fqn:library.marts.{LABELS}" in command and f".{TITLES} " not in command
    cached = ran.named("Cached")
    assert {f"model {TITLES}", "seed shelf_checks", TEST} <= cached
    # Evidence is a source: what is in it nobody knows.
    assert {f"model {LABELS}", "model mart_readiness"} <= ran.named("Completed")
    (library.path / SEED).write_text(seed_of(range(1, 14)))
    changed = run(library)
    assert {"seed shelf_checks", f"model {TITLES}"} <= changed.named("Completed")
    assert f"model {LABELS}" in changed.named("Cached")


def test_what_a_run_that_was_cut_off_was_to_make_is_made_again(made, library):
    # Of other content than what the other tests have: they share what Prefect keeps.
    library.replace_in("dbt_project.yml", "vars:\n", "vars:\n  of_this_test: 1\n")
    assert run(library).state.is_completed()
    with Running(Command("dbt", ("build",), library.path)) as dbt:
        assert any("OK loaded seed file" in line for line in dbt.lines())
        assert dbt.process is not None
        os.kill(dbt.process.pid, signal.SIGKILL)
        dbt.wait()
    ran = run(library)
    assert ran.state.is_completed(), ran.state.message
    assert {"seed shelf_checks", f"model {TITLES}"} <= ran.named("Completed")


def test_a_mart_alone_is_ready_when_it_is_made_and_so_is_all_that_was_made_with_it(made, library):
    seed = library.path / "seeds/member_days.csv"
    seed.write_text(f"{seed.read_text()}1,2026-03-16 00:00:00,9,0.75,true,,2026-03-15 09:15:00\n")
    ran = run(library, marts=[ACTIVITY])
    assert ran.state.is_completed(), ran.state.message
    # Of two models, one of which is not made: the gate asks for it all the same.
    assert {f"model {ACTIVITY}", "test no_negative_loans"} <= ran.named("Completed")
    assert f"model {TITLES}" not in ran.states
    ended = run(library, start=datetime(2026, 3, 5), end=datetime(2026, 3, 4)).state
    assert ended.name == "Unusable" and "[range-reversed]" in ended.message
    ended = run(library, start=datetime(2020, 3, 5), end=datetime(2020, 3, 6)).state
    assert ended.name == "Unusable" and "[range-before-start]" in ended.message


def test_a_schedule_that_is_none_is_refused(made, library):
    running = started(library, "--cron", "nonsense")
    assert running.wait(120) == 2
    assert "'nonsense' is no cron expression" in said(library)
    assert "Traceback" not in said(library)


def test_a_failed_test_blocks_what_is_downstream_and_a_retry_runs_that_alone(made, library):
    before = library.versions()
    seed = library.path / "seeds/member_days.csv"
    good = seed.read_text()
    seed.write_text(good.replace("0.75", "1.75"))
    below = library.path / "models/marts/below.sql"
    below.write_text(f"select count(*) as n from {{{{ ref('{ACTIVITY}') }}}}")
    (library.path / SEED).write_text(seed_of(range(1, 14)))
    ran = run(library, options={"retries": 2, "retry_delay_seconds": 0})
    assert (ran.state.type.value, ran.states[TEST]) == ("FAILED", "Refused")
    assert "overdue_share_is_a_share" in ran.state.message
    assert ran.named("Skipped") == {"model below", "feast apply"}
    assert ran.states["gate"] == "Refused"
    assert ran.states[f"model {TITLES}"] == "Completed"
    assert len(ran.commands("dbt --")) == 1, "a test that failed is not tried again"
    now = library.versions()
    assert now[ACTIVITY] == before[ACTIVITY] and now[TITLES] != before[TITLES]
    # Retried in Prefect, as its page does: the same flow run, once the data is mended.
    seed.write_text(good)
    with get_client(sync_client=True) as client, library.inside(library.path):
        client.set_flow_run_state(ran.id, Scheduled(), force=True)
        again = client.read_flow_run(ran.id)
        state: Any = run_flow(flow_for(library.path), flow_run=again, return_type="state")
    retried = Ran(state)
    assert state.is_completed(), state.message
    command = retried.commands("dbt --")[-1]
    assert f".{ACTIVITY} " in command and "fqn:library.marts.below" in command
    assert "mart_readiness" not in command, "it has succeeded in this flow run"
    assert retried.states["model below"] == "Completed"


def test_a_model_that_failed_is_run_again_alone_with_what_is_below_it(made, library, monkeypatch):
    there = library.path / "there.csv"
    sql = library.path / f"models/marts/{ACTIVITY}.sql"
    found = f"(select count(*) from glob('{there}')) > 0"
    hook = f"select case when {found} then true else error('not there') end"
    sql.write_text(f'{{{{ config(pre_hook="{hook}") }}}}\n{sql.read_text()}')
    monkeypatch.setattr(build, "time", SimpleNamespace(sleep=lambda _: there.touch()))
    ran = run(library, options={"retries": 1})
    assert ran.state.is_completed(), ran.state.message
    assert ran.states[f"model {ACTIVITY}"] == "Completed"
    [model] = [one for one in ran.runs if one["name"] == f"model {ACTIVITY}"]
    assert model["run_count"] == 2, "one task, run twice"
    [_, second] = ran.commands("dbt --")
    assert f".{ACTIVITY} " in second and TEST.removeprefix("test ") in second
    assert "mart_readiness" not in second


def test_a_backfill_of_three_days_is_one_run_of_one_command(made, library):
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    assert library.dbt("seed", "--select", "shelf_checks").returncode == 0
    moments = {"start": datetime(2026, 3, 5), "end": datetime(2026, 3, 8)}
    ran = run(library, marts=[TITLES], **moments)
    [command] = ran.commands("martfeast backfill")
    assert f"backfill {TITLES} --from 2026-03-05T00:00:00 --to 2026-03-08T00:00:00" in command
    assert not ran.commands("dbt --"), "nothing else is built"
    name = f"backfill {TITLES} 2026-03-05 00:00 to 2026-03-08 00:00"
    assert ran.states[name] == "Completed"
    assert any(f"[model.library.{TITLES}] success" in one for one in ran.said(name))
    days = f"select distinct cast(known_at as date) from {TITLES} where copies_free = 3 order by 1"
    assert [str(day) for (day,) in library.query(days)] == [
        "2026-03-05",
        "2026-03-06",
        "2026-03-07",
    ]


def slowly(library) -> None:
    """Let a model take longer than any test: it sleeps, as dbt has it."""
    sql = library.path / f"models/marts/{LABELS}.sql"
    sql.write_text(sql.read_text() + "\nwhere sleep_ms(600000) is null")
    (library.path / SEED).write_text(seed_of(range(1, 14)))


def assert_unlocked(library) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            return duckdb.connect(str(library.path / "library.duckdb")).close()
        except duckdb.IOException:
            assert time.monotonic() < deadline, "the warehouse is still locked"
            time.sleep(0.2)


def environment(library) -> dict[str, str]:
    settings = prefect.settings.get_current_settings().to_environment_variables(exclude_unset=True)
    return {**library.environment(), **settings}


def published(library) -> dict[str, bytes]:
    """What is published; who had the lock of runs last is no part of it."""
    files = library.published_bytes()
    return {name: text for name, text in files.items() if not name.endswith(".lock")}


def started(library, *arguments: str) -> "subprocess.Popen[bytes]":
    with (library.path / "said.txt").open("w") as file:  # a pipe that is full would stop it
        return subprocess.Popen(
            [sys.executable, "-m", "martfeast.orchestration.prefect", ".", *arguments],
            cwd=library.path,
            env=environment(library),
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def said(library) -> str:
    return (library.path / "said.txt").read_text()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_leaves_no_lock_and_no_half_release(made, library, how):
    slowly(library)
    before = published(library)
    running = started(library, "--run")
    _wait(lambda: f"model {TITLES}' - Finished" in said(library), running)
    running.send_signal(how)
    assert running.wait(60) == (130 if how == signal.SIGINT else -how)
    assert_unlocked(library)
    assert published(library) == before


def test_what_is_served_has_the_marts_schedule_and_can_be_cancelled(made, library):
    slowly(library)
    before = published(library)
    serving = started(library)
    try:
        with get_client(sync_client=True) as client:
            deployment = _wait(lambda: _deployment(client), serving)
            [schedule] = deployment["schedules"]
            assert schedule["schedule"]["cron"] == "30 6 * * *"
            assert deployment["parameters"]["marts"] == [TITLES]
            # Without these it makes what the deployment's schedule does: another mart.
            asked = {"parameters": {"marts": [LABELS]}, "state": {"type": "SCHEDULED"}}
            path: Any = f"/deployments/{deployment['id']}/create_flow_run"
            flow_run = client.request("POST", path, json=asked).json()["id"]
            asked = {"flow_runs": {"id": {"any_": [flow_run]}}}
            task_runs: Any = "/task_runs/filter"
            _wait(
                lambda: (
                    f"model {LABELS}"
                    in {one["name"] for one in client.request("POST", task_runs, json=asked).json()}
                ),
                serving,
            )
            client.set_flow_run_state(flow_run, Cancelling(), force=True)
            _wait(lambda: client.read_flow_run(flow_run).state_name == "Cancelled", serving)
    finally:
        serving.terminate()
        serving.wait()
    assert_unlocked(library)
    assert published(library) == before


def _deployment(client):
    asked = {"deployments": {"name": {"like_": "library"}}}
    return next(iter(client.request("POST", "/deployments/filter", json=asked).json()), None)


def _wait(condition, process):
    deadline = time.monotonic() + START_SECONDS
    while not (found := condition()):
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.5)
    return found
