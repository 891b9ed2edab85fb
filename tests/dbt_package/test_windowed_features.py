"""Features over windows, built by dbt: whole, in increments and in batches, against plain SQL."""

import csv
import random
import shutil
from datetime import datetime, timedelta

import pytest
from conftest import REPOSITORY, Library
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.replay.lineage import compile_lineage

pytestmark = pytest.mark.slow  # dbt builds a project of its own

BEGIN, END = "2013-07-01", "2013-07-13"
WHOLE, BATCHES, FILTERED = "gauges_whole", "gauges_by_batches", "gauges_by_filtered_batches"
INCREMENTS = "gauges_by_increments"
# The readings that a window holds at a row: after its start, up to and including its end.
BY_HAND = """
    select
        {keys} spine.known_at, '{length}' as length, '{offset}' as "offset",
        count(readings.known_at) as readings,
        count(*) filter (where is_alarm) as alarms,
        coalesce(sum(level_millimetres), 0)::bigint as level_sum,
        coalesce(sum(flow_litres), 0)::decimal(18, 3) as flow_sum,
        avg(level_millimetres) as level_mean,
        sum(level_millimetres) / nullif(sum(sample_count), 0) as level_of_a_sample,
        avg(is_alarm::integer) as alarm_share,
        min(level_millimetres) as lowest,
        max(level_millimetres) filter (where is_alarm) as highest_of_alarms,
        stddev_samp(level_millimetres) as level_deviation,
        stddev_samp(flow_litres) as flow_deviation,
        list(observer order by readings.known_at, observer) filter (where observer is not null)[-1]
            as last_observer,
        count(distinct observer) as observers
    from (
        select {entities} unnest(generate_series(
            (select date_trunc('{step}', min(known_at) - interval 1 microsecond) from readings),
            (select max(known_at) + interval 1 {step} from readings), interval 1 {step}
        )) as known_at
        from (select distinct {entities} 1 as one from readings)
    ) as spine
    inner join (
        select {entities} min(known_at) as first_at from readings group by all
    ) as firsts on {same_first} spine.known_at >= first_at
    left join readings on
        {same} readings.known_at > spine.known_at - interval '{offset}' - interval '{length}'
        and readings.known_at <= spine.known_at - interval '{offset}'
    where spine.known_at < (select max(known_at) + interval 1 {step} from readings)
    group by all
"""
# Exact, whatever the order in which facts are added up; the others to a billionth.
EXACT = [
    *("readings", "alarms", "level_sum", "flow_sum", "lowest", "highest_of_alarms"),
    *("last_observer", "observers", "level_mean", "level_of_a_sample", "alarm_share"),
]
NEARLY = ["level_deviation", "flow_deviation"]
SUFFIXES = {
    "1d": ("1 day", "0 days"),
    "1d_1d_ago": ("1 day", "1 day"),
    "3d": ("3 days", "0 days"),
    "3d_1d_ago": ("3 days", "1 day"),
}


def readings(seed: int) -> list[list[object]]:
    """Return readings of four gauges, some on the hour or midnight, several at one moment.

    One gauge is read on the first day alone, one from the seventh day on, two now and then.
    """
    draw = random.Random(seed)
    begin = datetime.fromisoformat(BEGIN)
    spans = {"quiet": (0, 20), "new": (24 * 6, 24 * 12), "often": (0, 24 * 12), "seldom": (30, 280)}
    counts = {"quiet": 5, "new": 60, "often": 400, "seldom": 12}
    rows: list[list[object]] = []
    for gauge, (first, last) in spans.items():
        for _ in range(counts[gauge]):
            seconds = draw.choice([0, 0, 1, 3599, draw.randrange(3600)])
            known_at = begin + timedelta(hours=draw.randrange(first, last), seconds=seconds)
            rows += [_reading(draw, gauge, known_at) for _ in range(draw.choice([1, 1, 2]))]
    midnight = begin + timedelta(days=4)
    rows += [_reading(draw, "often", midnight + timedelta(seconds=one)) for one in (-1, 0, 1)]
    return rows


def _reading(draw: random.Random, gauge: str, known_at: datetime) -> list[object]:
    level = draw.choice([draw.randrange(-2_000_000_000, 2_000_000_000), 12, 12, None])
    flow = draw.choice([round(draw.uniform(0, 1e8), 3), None])
    is_alarm = draw.choice(["true", "false", None])
    observer = draw.choice(["Ada", "Bo", "Cleo", None])
    return [gauge, known_at, level, flow, is_alarm, observer, draw.randrange(4)]


@pytest.fixture(scope="session")
def built_gauges(build_once) -> Library:
    """The gauges, built whole from random readings; tests read it and do not change it."""

    def build(path) -> None:
        shutil.copytree(
            REPOSITORY / "tests/projects/gauges",
            path,
            ignore=shutil.ignore_patterns("target", "logs", "dbt_packages", "*.duckdb"),
        )
        package = REPOSITORY / "python/martfeast/dbt_package"
        (path / "packages.yml").write_text(f"packages:\n  - local: {package}\n")
        names = ["gauge_code", "known_at", "level_millimetres", "flow_litres"]
        (path / "seeds").mkdir(exist_ok=True)
        with (path / "seeds/raw_readings.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*names, "is_alarm", "observer", "sample_count"])
            writer.writerows(readings(seed=7))
        library = Library(path)
        for arguments in (["deps"], ["build", "--exclude", BATCHES, FILTERED, INCREMENTS]):
            result = library.dbt(*arguments)
            assert result.returncode == 0, result.stdout

    return Library(build_once("gauges", build))


@pytest.fixture
def gauges(built_gauges: Library, tmp_path) -> Library:
    """Copy the built gauges, for one test to change."""
    return built_gauges.copy_to(tmp_path / "project")


def run(library: Library, *arguments: str) -> None:
    result = library.dbt("run", *arguments)
    assert result.returncode == 0, result.stdout


def differing_rows(library: Library, table: str) -> int:
    """Return how many rows a table has that the whole build has not, and the other way round."""
    (found,) = library.query(
        f"""select count(*) from (
            (select * from {table} except all select * from {WHOLE})
            union all (select * from {WHOLE} except all select * from {table})
        )"""
    )
    return found[0]


def stale_days(library: Library, table: str) -> list[tuple[object, ...]]:
    """Return from when to when a table is stale, and by how many facts of what."""
    return library.query(
        "select distinct stale_start::varchar, stale_end::varchar, name, row_difference"
        f" from martfeast_judge.stale_pieces where node_id = 'model.gauges.{table}'"
    )


def differing_days(library: Library, table: str) -> list[str]:
    """Return the days of which a table has other rows than the whole build."""
    found = library.query(
        f"""select distinct known_at::date::varchar from (
            (select * from {table} except all select * from {WHOLE})
            union all (select * from {WHOLE} except all select * from {table})
        ) order by all"""
    )
    return [day for (day,) in found]


@pytest.mark.parametrize(
    ("mart", "step", "by_gauge"),
    [(WHOLE, "hour", True), ("gauges_daily", "day", True), ("all_gauges_whole", "hour", False)],
)
def test_every_function_is_what_plain_sql_finds_in_each_window(built_gauges, mart, step, by_gauge):
    key = "gauge_code, " if by_gauge else ""
    same = "firsts.gauge_code = spine.gauge_code and" if by_gauge else ""
    for suffix, (length, offset) in SUFFIXES.items():
        by_hand = BY_HAND.format(
            keys="spine.gauge_code," if by_gauge else "",
            entities=key,
            same_first=same,
            same=same.replace("firsts", "readings"),
            step=step,
            length=length,
            offset=offset,
        )
        different = [f"mart.{one}_{suffix} is distinct from hand.{one}" for one in EXACT]
        different += [
            f"(mart.{one}_{suffix} is null) <> (hand.{one} is null)"
            f" or abs(mart.{one}_{suffix} - hand.{one}) > 1e-9 * abs(hand.{one})"
            for one in NEARLY
        ]
        keys = f"{key}known_at"
        hand = f"(select * from ({by_hand}) where known_at = date_trunc('{step}', known_at))"
        assert (
            built_gauges.query(
                f"select * from {mart} as mart full join {hand} as hand using ({keys})"
                f" where mart.known_at is null or hand.known_at is null or {' or '.join(different)}"
            )
            == []
        ), (mart, suffix)


def test_batches_are_the_whole_build_and_a_filtered_parent_cuts_windows_short(gauges):
    """A batch of dbt's sees only its own part of a parent; windows of days come out short."""
    run(gauges, "--select", BATCHES, FILTERED, "--event-time-start", BEGIN, "--event-time-end", END)
    assert differing_rows(gauges, BATCHES) == 0
    assert differing_rows(gauges, FILTERED) > 500
    # A batch that is built again, after those that follow it, is the same too.
    day = ["--event-time-start", "2013-07-05", "--event-time-end", "2013-07-06"]
    run(gauges, "--select", BATCHES, *day)
    assert differing_rows(gauges, BATCHES) == 0


def test_increments_are_the_whole_build(gauges):
    early = ["--vars", '{"known_before": "2013-07-08 10:30:00"}']
    run(gauges, "--select", "readings", INCREMENTS, *early)
    assert differing_rows(gauges, INCREMENTS) > 100
    run(gauges, "--select", "readings", INCREMENTS)
    assert differing_rows(gauges, INCREMENTS) == 0
    # Rows that were lost are made again by their moments.
    gauges.execute(f"delete from {INCREMENTS} where known_at::date = '2013-07-05'")
    assert differing_rows(gauges, INCREMENTS) > 50
    day = ["--event-time-start", "2013-07-05", "--event-time-end", "2013-07-06"]
    run(gauges, "--select", INCREMENTS, *day)
    assert differing_rows(gauges, INCREMENTS) == 0


def test_days_that_a_later_fact_makes_stale_are_those_that_a_whole_build_has_otherwise(gauges):
    """A fact changes rows as long as a window holds it: here three days, and one of offset.

    The facts are a view. First only the last day is made with them, and then the days named.
    """
    gauges.replace_in("models/readings.sql", "config(", "config(materialized='view', ")
    both = ["--select", INCREMENTS, BATCHES]
    run(gauges, *both, "readings", "--event-time-start", BEGIN, "--event-time-end", END)
    gauges.execute(
        "insert into raw_readings values"
        " ('often', '2013-07-03 10:00:00', 13, 1.5, true, 'Dora', 1),"
        " ('often', '2013-07-12 10:00:00', 13, 1.5, true, 'Dora', 1)"
    )
    last_day = ["--event-time-start", "2013-07-12", "--event-time-end", END]
    run(gauges, "--select", INCREMENTS, WHOLE, *last_day)
    named = [("2013-07-03 00:00:00", "2013-07-08 00:00:00", "readings", 1)]
    assert (stale_days(gauges, INCREMENTS), stale_days(gauges, BATCHES)) == (named, [])
    # Now it was built since, and they were left as they were.
    run(gauges, "--select", BATCHES, *last_day)
    for table in (INCREMENTS, BATCHES):
        assert differing_days(gauges, table) == [f"2013-07-0{day}" for day in range(3, 8)]
        assert stale_days(gauges, table) == named
    run(gauges, *both, "--event-time-start", "2013-07-03", "--event-time-end", "2013-07-08")
    for table in (INCREMENTS, BATCHES):
        assert differing_days(gauges, table) == []
        assert stale_days(gauges, table) == []
    # A run without rows has seen no facts go.
    run(gauges, *both, "readings", "--empty", *last_day)
    assert gauges.query("select min(row_count) > 0 from martfeast.fact_batches") == [(True,)]


def test_a_deviation_is_exact_and_never_below_zero(gauges):
    """By sums of doubles the large ones have none, and three times 1.3 the root of less than 0."""
    values = "(1, 900000000000001), (2, 900000000000002), (3, 900000000000003)"
    (gauges.path / "models/large.sql").write_text(
        "with facts (hours, amount) as (values " + values + "), timed as (select hours, amount,"
        " timestamp '2013-07-01' + interval 1 hour * hours as known_at, 1.3::double as same"
        " from facts), windows as (\n{{ martfeast.windowed_features(facts='timed', entity=[],"
        " known_at='known_at', windows=['3 hours'], aggregations=[\n"
        "{'name': 'large', 'function': 'stddev', 'of': 'amount'},\n"
        "{'name': 'same', 'function': 'stddev', 'of': 'same'}]) }}\n) select * from windows"
    )
    run(gauges, "--select", "large")
    found = gauges.query("select large_3h, same_3h from large order by known_at")
    assert found == [(None, None), (0.5**0.5, 0.0), (1.0, 0.0)]


COUNT = "{'name': 'readings', 'function': 'count'}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "windows=['1 day'], aggregations=[{'name': 'level', 'function': 'median', 'of': 'x'}]",
            "aggregation level: function median is not known. Write one of count, sum, mean,",
        ),
        (
            "windows=['1 day'], aggregations=[{'name': 'level', 'function': 'sum'}]",
            "aggregation level: of is missing. Say of what to take the sum: SQL of the facts.",
        ),
        (
            "windows=['1 day'],"
            " aggregations=[{'name': 'level', 'function': 'sum', 'of': 'x', 'per': 'y'}]",
            "aggregation level: sum takes no per. Leave it out, or take the function mean or share",
        ),
        (
            "windows=['1 day'],"
            " aggregations=[{'name': 'level', 'function': 'sum', 'of': 'x', 'when': 'y'}]",
            "aggregation level: when is not known. Write one of name, function, of, per, where,",
        ),
        (
            f"step='day', windows=['36 hours'], aggregations=[{COUNT}]",
            "aggregation readings: window '36 hours' is no whole number of steps (day). Make it",
        ),
        (
            f"windows=['90 minutes'], aggregations=[{COUNT}]",
            "aggregation readings: window '90 minutes' is no length of time. Write it as '24",
        ),
        (
            f"windows=['1 day'], offsets=['-1 day'], aggregations=[{COUNT}]",
            "aggregation readings: offset '-1 day' looks ahead of the row, where nothing is known.",
        ),
        (
            f"windows=['0 days'], aggregations=[{COUNT}]",
            "aggregation readings: window '0 days' holds nothing. Leave it out, or make it longer",
        ),
        (
            f"aggregations=[{COUNT}]",
            "aggregation readings: it has no windows. Give it some, or windowed_features:",
        ),
        ("windows=['1 day'], aggregations=[]", "there are no aggregations. Declare one"),
        (
            f"windows=['1 day'], aggregations=[{COUNT}, {COUNT}]",
            "column readings_1d is there twice. Give one of its aggregations another name",
        ),
        (f"step='week', windows=['1 week'], aggregations=[{COUNT}]", "step week is not known."),
    ],
)
def test_what_cannot_be_is_refused_with_the_model_and_the_next_step(gauges, arguments, said):
    (gauges.path / "models/asked.sql").write_text(
        "{{ martfeast.windowed_features(facts=ref('readings'), entity=['gauge_code'],"
        f" known_at='known_at', {arguments}) }}}}"
    )
    result = gauges.dbt("parse")
    assert result.returncode != 0
    assert f"asked: windowed_features: {said}" in " ".join(result.stdout.split())
    assert "Traceback" not in result.stdout + result.stderr


def test_a_replay_reads_windows_as_the_sql_that_a_whole_build_runs(gauges, tmp_path):
    """What tells one increment from another is no blind spot, nor is it in a whole build's SQL."""
    artifacts = read_artifacts(gauges.path)
    marts = [f"model.gauges.{one}" for one in (WHOLE, BATCHES, INCREMENTS)]
    with gauges.inside(gauges.path):
        lineage, _ = compile_lineage(artifacts, marts, tmp_path)
    assert [lineage.relations[mart].jinja for mart in marts] == [(), (), ()]
    assert lineage.compiled[marts[0]] != ""
    whole, batches, increments = (lineage.relations[mart].made_by for mart in marts)
    assert whole == batches == increments
