"""A project in Dagster: its graph, and real runs of it."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from daily import ACTIVITY, LABELS, MARTS, SEED, TITLES, make_daily, seed_of
from martfeast.orchestration.command import Command, run_command
from martfeast.orchestration.dagster import build_definitions, definitions, release_sensor

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
NEWEST = str(dg.DailyPartitionsDefinition("2026-03-01").get_last_partition_key())


def key(text):
    return dg.AssetKey(text.split("/"))


class Orchestrated:
    """A project, its definitions as of now, and an instance that runs it."""

    def __init__(self, library, instance):
        self.library = library
        self.instance = instance
        self.first: Any = None

    def definitions(self, **options):
        return build_definitions(self.library.path, **options)

    def run(self, *selection, partition=NEWEST, until=None, tags=(), **options):
        repository = self.definitions(**options).get_repository_def()
        job = repository.get_job("library_all")
        tags = dict(tags)
        if until:
            tags |= dict(zip(RANGE, (partition, until), strict=True))
            partition = None
        return Ran(
            job.execute_in_process(
                instance=self.instance,
                partition_key=partition,
                asset_selection=[key(one) for one in selection] or None,
                tags=tags,
                raise_on_error=False,
            ),
            self.instance,
        )


class Ran:
    """What a run did."""

    def __init__(self, result, instance):
        self.is_success, self.run_id = result.success, result.run_id
        self.materialized, self.checks, self.failure = defaultdict(list), {}, ""
        for event in result.all_events:
            if event.event_type_value == "ASSET_MATERIALIZATION":
                name = event.asset_key.to_user_string()
                self.materialized[name].append(event.materialization)
            elif event.event_type_value == "ASSET_CHECK_EVALUATION":
                done = event.asset_check_evaluation_data
                self.checks[done.asset_key.to_user_string(), done.check_name] = done
            elif event.event_type_value == "STEP_FAILURE":
                self.failure = event.step_failure_data.error.message
                if event.step_failure_data.user_failure_data:
                    self.failure = event.step_failure_data.user_failure_data.description
        logs = instance.all_logs(result.run_id)
        self.logs = [entry.user_message for entry in logs if entry.user_message]

    def commands(self, start):
        return [line for line in self.logs if line.startswith(start)]

    def of(self, name, value):
        return self.materialized[name][-1].metadata[value].value


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.local_temp() as made:
        yield made


@pytest.fixture(scope="module")
def daily(parsed_library, tmp_path_factory, instance):
    """A project that was run once, and that one test after the other runs on, as days go by."""
    library = parsed_library.copy_to(tmp_path_factory.mktemp("dagster") / "project")
    make_daily(library)
    with library.inside(library.path):
        made = Orchestrated(library, instance)
        made.first = made.run()
        yield made


@pytest.fixture(scope="module")
def graph(parsed_library, tmp_path_factory):
    library = parsed_library.copy_to(tmp_path_factory.mktemp("graph") / "project")
    make_daily(library)
    with library.inside(library.path):
        return build_definitions(library.path).get_repository_def()


def test_the_graph_is_the_projects_own(graph):
    assets = graph.asset_graph
    titles = assets.get(key(TITLES))
    assert titles.parent_keys == {key("shelf_checks")}
    assert titles.group_name == "lending"
    assert titles.owners == ["lending@library.example"]
    assert {"dbt", "duckdb"} <= titles.kinds
    assert "How many copies of a title" in titles.description
    assert titles.partitions_def == dg.DailyPartitionsDefinition("2026-03-01")
    assert titles.backfill_policy == dg.BackfillPolicy.single_run()
    assert assets.get(key(ACTIVITY)).partitions_def is None
    assert assets.get(key(f"released/{TITLES}")).parent_keys == {key(TITLES)}
    assert assets.get(key(f"online/{TITLES}")).parent_keys == {key(f"feature_views/{TITLES}")}
    assert assets.get(key("datasets/overdue_prediction")).parent_keys == {
        key(f"feature_views/{TITLES}"),
        key(f"feature_views/{ACTIVITY}"),
        key(f"released/{LABELS}"),
    }
    assert key(f"feature_views/{LABELS}") not in assets.get_all_asset_keys()


def test_tests_are_checks_that_block_by_severity(graph):
    found = graph.asset_graph.asset_check_keys
    checks = {(one.asset_key.to_user_string(), one.name) for one in found}
    blocks = {one.name: graph.asset_graph.get(one).blocking for one in found}
    assert (ACTIVITY, "genres_are_split") in checks, "a unit test"
    assert (LABELS, "no_negative_loans") in checks, "a test of two models checks the lower one"
    assert blocks["not_null_title_availability_title_id"] and blocks["genres_are_split"]
    assert blocks["no_negative_loans"] is False, "its severity is warn"
    assert {(f"released/{TITLES}", "replay"), (f"released/{TITLES}", "gate")} <= checks
    assert ("shelves/visits", "freshness_check") in checks


def test_a_schedule_asks_for_the_newest_day(graph):
    [schedule] = graph.schedule_defs
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 6 * * *", "UTC")
    moment = datetime(2026, 3, 12, 6, 30, tzinfo=UTC)
    at = dg.build_schedule_context(scheduled_execution_time=moment, repository_def=graph)
    [request] = schedule.evaluate_tick(at).run_requests or []
    assert request.partition_key == "2026-03-11"
    made = graph.get_job(schedule.job_name).asset_layer.executable_asset_keys
    assert {key(TITLES), key("shelf_checks"), key("datasets/overdue_prediction")} <= made
    assert key(ACTIVITY) not in made, "another mart, without a schedule"


def test_a_file_that_changed_is_read_and_a_project_that_is_broken_refused(parsed):
    make_daily(parsed)
    parsed.replace_in(MARTS, "How many copies of a title", "Copies of a title")
    with parsed.inside(parsed.path):
        assets = build_definitions(parsed.path).get_repository_def().asset_graph
        assert "Copies of a title" in assets.get(key(TITLES)).description
        (parsed.path / f"models/marts/{TITLES}.sql").write_text("select {{ nothing")
        with pytest.raises(Exception, match="dbt cannot parse it"):
            build_definitions(parsed.path)


@pytest.mark.slow
def test_a_whole_run_goes_from_seeds_to_a_dataset(daily):
    ran = daily.first
    assert ran.is_success, ran.failure
    made = daily.definitions().get_repository_def().asset_graph.materializable_asset_keys
    assert {key(one) for one in ran.materialized} == made
    assert all(done.passed for done in ran.checks.values())
    assert (f"released/{TITLES}", "replay") in ran.checks
    assert len(ran.commands("dbt ")) == 1, "one dbt for all nodes"
    assert ran.of(TITLES, "dagster/row_count") == 24
    lineage = ran.of(ACTIVITY, "dagster/column_lineage").deps_by_column
    assert [(d.asset_key, d.column_name) for d in lineage["favourite_genres"]] == [
        (key("member_days"), "favourite_genres")
    ]
    version = daily.library.published_mart(TITLES)
    [released] = ran.materialized[f"released/{TITLES}"]
    assert released.tags["dagster/data_version"] == version["content_hash"]
    card = ran.of("datasets/overdue_prediction", "card")
    assert card.endswith("card.html") and Path(card.removeprefix("file://")).exists()
    assert any(line.startswith(f"[{TITLES}] ") for line in ran.logs), "logs by node"
    # Nothing is new: versions hold, and what was replayed need not be again.
    again = daily.run(f"released/{TITLES}", f"feature_views/{TITLES}")
    assert again.is_success, again.failure
    assert not again.commands("martfeast replay")


@pytest.mark.slow
def test_a_backfill_of_three_days_is_one_run_of_one_command(daily):
    library = daily.library
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    assert daily.run("shelf_checks").is_success
    ran = daily.run(TITLES, f"released/{TITLES}", partition="2026-03-05", until="2026-03-07")
    assert ran.is_success, ran.failure
    [command] = ran.commands("martfeast backfill")
    assert f"backfill {TITLES} --from 2026-03-05T00:00:00 --to 2026-03-08T00:00:00" in command
    assert [one.partition for one in ran.materialized[TITLES]] == [
        "2026-03-05",
        "2026-03-06",
        "2026-03-07",
    ]
    days = f"select distinct cast(known_at as date) from {TITLES} where copies_free = 3 order by 1"
    assert [str(day) for (day,) in library.query(days)] == [
        "2026-03-05",
        "2026-03-06",
        "2026-03-07",
    ]
    one = daily.run(TITLES, partition="2026-03-09")
    assert one.is_success, one.failure
    assert len(library.query(days)) == 4


@pytest.mark.slow
def test_a_failed_test_blocks_what_is_downstream_and_nothing_else(daily):
    library = daily.library
    seed = library.path / "seeds/member_days.csv"
    good = seed.read_text()
    seed.write_text(good.replace("0.75", "1.75"))
    (library.path / SEED).write_text(seed_of(range(1, 14), copies=3))
    before = library.versions()
    ran = daily.run()
    assert not ran.is_success
    assert "overdue_share_is_a_share" in ran.failure
    assert not ran.checks[ACTIVITY, "overdue_share_is_a_share"].passed
    assert not ran.checks[f"released/{ACTIVITY}", "gate"].passed
    blocked = {f"released/{ACTIVITY}", "online/" + TITLES, "datasets/overdue_prediction"}
    blocked |= {f"feature_views/{one}" for one in (TITLES, ACTIVITY)}
    assert not blocked & set(ran.materialized)
    assert {TITLES, f"released/{TITLES}", f"released/{LABELS}"} <= set(ran.materialized)
    assert ran.checks[f"released/{TITLES}", "replay"].passed
    now = library.versions()
    assert now[ACTIVITY] == before[ACTIVITY] and now[TITLES] != before[TITLES]
    assert len(ran.commands("dbt ")) == 1, "a test that failed is not tried again"
    seed.write_text(good)


@pytest.mark.slow
def test_a_retry_runs_what_failed_on_the_same_day(daily, monkeypatch):
    monkeypatch.setattr(definitions, "RETRY_AFTER_SECONDS", 0)
    library, there = daily.library, daily.library.path / "there.csv"
    sql = library.path / f"models/marts/{ACTIVITY}.sql"
    good = sql.read_text()
    # It fails where a file is missing, which each run of dbt leaves at its end.
    found = f"(select count(*) from glob('{there}')) > 0"
    hook = f"select case when {found} then true else error('not there') end"
    sql.write_text(f'{{{{ config(pre_hook="{hook}") }}}}\n{good}')
    with (library.path / "dbt_project.yml").open("a") as file:
        file.write(f"\non-run-end: \"copy (select 1 as x) to '{there}'\"\n")
    wanted = ("member_days", TITLES, ACTIVITY, f"released/{ACTIVITY}")
    failed = daily.run(*wanted, retries=0)
    assert not failed.is_success
    assert "not there" in failed.failure and f"released/{ACTIVITY}" in failed.failure
    assert TITLES in failed.materialized and ACTIVITY not in failed.materialized

    there.unlink()
    goes_on = {"dagster/parent_run_id": failed.run_id, "dagster/is_resume_retry": "true"}
    ran = daily.run(*wanted, tags=goes_on, retries=1)
    assert ran.is_success, ran.failure
    commands = ran.commands("dbt ")
    assert len(commands) == 2, "it failed once more, and then did not"
    assert all(ACTIVITY in one and f".{TITLES} " not in one for one in commands)
    assert set(ran.materialized) == {ACTIVITY, f"released/{ACTIVITY}"}
    sql.write_text(good)


@pytest.mark.slow
def test_a_run_without_a_day_is_refused_before_dbt_begins(daily):
    ran = daily.run(partition=None)
    assert not ran.is_success
    assert "This run has no day" in ran.failure and NEWEST in ran.failure
    assert ran.commands("dbt ") == []


def published(library):
    """What is published, without locks."""
    files = library.published_bytes()
    return {name: held for name, held in files.items() if not name.startswith(".")}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cancelled_leaves_no_lock_and_no_half_release(daily, how):
    library, before = daily.library, published(daily.library)
    file = library.path / "definitions.py"
    file.write_text(
        "from martfeast.orchestration.dagster import build_definitions\n"
        f"defs = build_definitions({str(library.path)!r})\n"
    )
    (library.path / SEED).write_text(seed_of(range(1, 15), copies=int(how)))
    arguments = ["asset", "materialize", "--select", "*", "--partition", NEWEST, "-f", str(file)]
    said = library.path / "dagster.log"
    with said.open("w") as log:
        command = [sys.executable, "-m", "dagster", *arguments]
        # A session of its own: the process of the step, which goes on without the run's, is in it.
        run = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    while "[shelf_checks]" not in said.read_text():
        assert run.poll() is None, said.read_text()
        time.sleep(0.05)
    os.killpg(run.pid, how)
    assert run.wait(60) != 0, said.read_text()
    deadline = time.monotonic() + 30
    while True:
        try:
            duckdb.connect(str(library.path / "library.duckdb")).close()
            break
        except duckdb.IOException:
            assert time.monotonic() < deadline, "the warehouse is still locked"
            time.sleep(0.2)
    assert published(library) == before


@pytest.mark.slow
def test_a_source_is_as_fresh_as_its_newest_load(daily):
    visits = "create or replace table main.visits as select {} as counted_at"
    daily.library.replace_in(
        "models/staging/_shelves__sources.yml",
        "name: shelves\n",
        "name: shelves\n    schema: main\n",
    )
    job = daily.definitions().get_repository_def().get_implicit_global_asset_job_def()
    [check] = [one for one in job.asset_layer.asset_graph.asset_check_keys if "fresh" in one.name]
    observing = job.get_subset(asset_selection={key("shelves/visits")}, asset_check_selection=set())
    checking = job.get_subset(asset_selection=set(), asset_check_selection={check})
    for age, is_fresh in (("1 hour", True), ("9 days", False)):
        daily.library.execute(visits.format(f"(now() - interval {age}) at time zone 'UTC'"))
        assert observing.execute_in_process(instance=daily.instance).success
        checked = checking.execute_in_process(instance=daily.instance)
        [evaluation] = checked.get_asset_check_evaluations()
        assert evaluation.passed == is_fresh


@pytest.mark.slow
def test_selections_have_no_limit_of_length(daily):
    """A selection that is longer than the system takes as arguments is run all the same."""
    names = [f"no_such_model_{number}_{'x' * 200}" for number in range(20_000)]
    command = Command("dbt", ("--quiet", "ls", "--select", "loans", *names), daily.library.path)
    code, said = run_command(command)
    assert code == 0, said[-500:]
    assert "library.staging.loans" in said


def test_a_release_of_somebody_else_asks_for_a_run(library):
    job = dg.define_asset_job("consume", dg.AssetSelection.all())
    sensor = release_sensor(library.published, target=job, marts=(TITLES,))
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor.evaluate_tick(dg.build_sensor_context(instance))
        [request] = first.run_requests or []
        assert request.tags["martfeast/marts"] == TITLES
        again = dg.build_sensor_context(instance, cursor=first.cursor)
        assert "were seen last" in str(sensor.evaluate_tick(again).skip_message)
