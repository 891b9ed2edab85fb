"""`martfeast backfill`, on marts made by ranges: real dbt, batch by batch."""

import time

import psutil
import pytest
from conftest import Library

TITLES, ACTIVITY = "title_availability", "member_activity_daily"
SQL, SEED = f"models/marts/{TITLES}.sql", "seeds/shelf_checks.csv"
HEAD = "branch_code,title_id,known_at,copies_free,waiting_days,shelf_mark\n"
STRATEGY = (
    "{% macro get_incremental_replace_range_sql(arguments) %}"
    "{{ return(martfeast.replace_range_sql(arguments)) }}{% endmacro %}\n"
)
CONFIG = {
    "replace_range": "{{ config(materialized='incremental',"
    " incremental_strategy='replace_range', begin='2026-03-01', on_schema_change='fail') }}\n",
    "microbatch": "{{ config(materialized='incremental', incremental_strategy='microbatch',"
    " begin='2026-03-01', batch_size='day', on_schema_change='fail') }}\n",
}
RANGE_FILTER = """
{% set increment = martfeast.increment() %}
{% if increment %}
where known_at >= {{ increment.start }}
{% if increment.end %}and known_at < {{ increment.end }}{% endif %}
{% endif %}
"""
WHOLE = {
    "replace_range": (),
    "microbatch": ("--event-time-start", "2026-03-01", "--event-time-end", "2026-03-13"),
}


def seed_of(days, copies=1):
    lines = [f"north,{title},2026-03-{day:02} 08:00:00,{copies},0.5,N" for day in days
             for title in (10, 11)]  # fmt: skip
    return HEAD + "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def built_ranged(build_once, parsed_library):
    """Return a project with a mart of twelve days of March, made by ranges, built whole."""

    def build_by(strategy):
        def build(path):
            library = parsed_library.copy_to(path)
            (path / "macros").mkdir()
            (path / "macros/strategy.sql").write_text(STRATEGY)
            text = (path / SQL).read_text()
            (path / SQL).write_text(CONFIG[strategy] + text + RANGE_FILTER)
            (path / SEED).write_text(seed_of(range(1, 13)))
            library.said("build", *WHOLE[strategy])
            assert library.published_mart(TITLES)["held_back"] == []

        return Library(build_once(f"ranged_by_{strategy}", build))

    return build_by


@pytest.fixture(params=["replace_range", "microbatch"])
def ranged(request, built_ranged, tmp_path):
    """A copy of it for a test to change, and the strategy."""
    return built_ranged(request.param).copy_to(tmp_path / "project"), request.param


@pytest.fixture
def replaced(built_ranged, tmp_path):
    return built_ranged("replace_range").copy_to(tmp_path / "project")


def rows(library):
    return library.query(f"select * from {TITLES} order by all")


def number_of(library):
    return library.release()["release_number"]


def backfill(library, *arguments):
    result = library.martfeast("backfill", TITLES, *arguments, cwd=library.path)
    return result, result.stdout + result.stderr


def test_a_range_is_made_anew_and_published_once(ranged):
    library, _ = ranged
    release = number_of(library)
    # The facts of all days are others now; two days are made anew.
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    assert library.dbt("seed").returncode == 0
    result, said = backfill(library, "--from", "2026-03-05", "--to", "2026-03-07")
    assert result.returncode == 0, said
    assert "2026-03-05 00:00  1 day of 2 made; about" in said
    assert "2026-03-06 00:00  2 days of 2 made" in said
    assert f"{TITLES}: 0 rows added, 4 rows changed, 0 rows gone" in said
    assert "2026-03-05  0 added, 2 changed, 0 gone" in said
    assert "copies_free is another value in 4 rows" in said
    assert number_of(library) == release + 1
    changed = {str(row[2])[:10] for row in rows(library) if row[3] == 3}
    assert changed == {"2026-03-05", "2026-03-06"}


def test_an_increment_makes_its_own_days_only(ranged):
    library, strategy = ranged
    (library.path / SEED).write_text(seed_of(range(1, 15), copies=2))
    window = ["--event-time-start", "2026-03-13", "--event-time-end", "2026-03-15"]
    library.said("build", *(window if strategy == "microbatch" else []))
    assert library.published_mart(TITLES)["held_back"] == []
    days = {str(row[2])[8:10]: row[3] for row in rows(library)}
    assert sorted(days) == [f"{day:02}" for day in range(1, 15)]
    # One day back is made again by itself, where nobody names a range.
    assert {day for day, copies in days.items() if copies == 2} == (
        {"13", "14"} if strategy == "microbatch" else {"11", "12", "13", "14"}
    )


def test_a_gap_is_held_back_until_it_is_filled(ranged):
    """Of a mart that was built whole, the day that its facts ended in is made again too."""
    library, strategy = ranged
    first = "2026-03-12" if strategy == "replace_range" else "2026-03-13"
    versions = library.versions()
    (library.path / SEED).write_text(seed_of(range(1, 19)))
    window = ["--event-time-start", "2026-03-16", "--event-time-end", "2026-03-19"]
    library.said("build", *window)
    assert library.versions() == versions
    (reason,) = library.published_mart(TITLES)["held_back"]
    assert f"{TITLES} has no rows of {first} 00:00 to 2026-03-16 00:00" in reason
    command = reason.split("(martfeast backfill ")[1].rstrip(")").split()
    assert command[0] == TITLES
    result, said = backfill(library, *command[1:])
    assert result.returncode == 0, said
    assert "12 rows added" in said
    assert library.published_mart(TITLES)["held_back"] == []
    assert len(rows(library)) == 36


def test_other_code_under_old_days_is_named(ranged):
    library, _ = ranged
    library.replace_in(SQL, "as copies_free", "+ 0 as copies_free")
    window = ["--event-time-start", "2026-03-11", "--event-time-end", "2026-03-13"]
    library.said("build", *window)
    (reason,) = library.published_mart(TITLES)["held_back"]
    assert f"{TITLES} was built by other code for 2026-03-01 00:00 to 2026-03-11 00:00" in reason
    result, said = backfill(library, "--from", "2026-03-01", "--to", "2026-03-11", "--batches", "4")
    assert result.returncode == 0, said
    assert "no row is another than before" in said
    assert library.published_mart(TITLES)["held_back"] == []


def stale(library):
    """What the last run said of days that later facts made stale."""
    return library.published_mart(TITLES)["warnings"]


def test_days_that_later_facts_made_stale_are_named_until_they_are_made_again(ranged):
    """Facts that come, go or change: before the days that a run makes again, and in them."""
    library, strategy = ranged
    facts = seed_of([1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]).replace(
        "03-04 08:00:00,1", "03-04 08:00:00,2"
    )
    facts += "".join(
        f"south,10,2026-03-{day} 09:00:00,1,0.5,S\n" for day in ("02", "08", "10", "12")
    )
    (library.path / SEED).write_text(facts)
    window = ["--event-time-start", "2026-03-11", "--event-time-end", "2026-03-13"]
    said = library.said("build", *(window if strategy == "microbatch" else []))
    command = f"Run: martfeast backfill {TITLES}"
    named = [
        f"{TITLES} from 2026-03-02 to 2026-03-03 (1 day) is stale: 1 fact of shelf_checks came"
        f" after it was made. {command} --from 2026-03-02 --to 2026-03-03",
        f"{TITLES} from 2026-03-04 to 2026-03-05 (1 day) is stale: facts of shelf_checks changed"
        f" after it was made. {command} --from 2026-03-04 --to 2026-03-05",
        f"{TITLES} from 2026-03-06 to 2026-03-07 (1 day) is stale: 2 facts of shelf_checks went"
        f" after it was made. {command} --from 2026-03-06 --to 2026-03-07",
        f"{TITLES} in 2 more stretches from 2026-03-08 to 2026-03-11 (2 days) is stale."
        f" {command} --from 2026-03-08 --to 2026-03-11",
    ]
    assert stale(library) == named
    assert library.published_mart(TITLES)["held_back"] == []
    assert f"with a warning: {TITLES}: {named[0]}" in said
    for asked in ((), (TITLES,)):
        status = library.martfeast("status", *asked, cwd=library.path).stdout
        assert all(one in " ".join(status.split()) for one in named)
    result, said = backfill(library, *named[-1].split(TITLES)[-1].split(), "--batches", "3")
    assert result.returncode == 0, said
    assert f"{TITLES}: 2 rows added, 0 rows changed, 0 rows gone" in said
    assert stale(library) == named[:3]


def test_what_cannot_be_compared_makes_nothing_stale(replaced):
    """Facts of which nothing was noted before, and facts with another column."""
    library = replaced
    library.execute(
        "drop table martfeast.fact_batches; alter table martfeast.ranges drop look_back_seconds"
    )
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    library.said("build", "--select", f"+{TITLES}")
    assert stale(library) == []
    facts = seed_of(range(1, 13), copies=4).splitlines()
    (library.path / SEED).write_text(
        "\n".join([f"{facts[0]},room", *(f"{one},1" for one in facts[1:])])
    )
    library.said("build", "--full-refresh", "--select", "shelf_checks")
    library.said("build", "--select", TITLES)
    assert stale(library) == []
    # From then on it is.
    (library.path / SEED).write_text(
        (library.path / SEED).read_text().replace("03-02 08:00:00,4", "03-02 08:00:00,5")
    )
    library.said("build", "--select", f"+{TITLES}")
    assert [one.split(" is stale")[0] for one in stale(library)] == [
        f"{TITLES} from 2026-03-02 to 2026-03-03 (1 day)"
    ]


def test_a_fact_within_a_lateness_of_minutes_makes_nothing_stale(replaced):
    """What a run makes again begins at 11:30 here: facts are noted by the hour, and one is cut."""
    library = replaced
    online = "          timestamp: known_at\n          online: true\n    data_tests"
    batch = online.replace(
        "online: true", "online: true\n          batch: {size: day, lateness: 750 minutes}"
    )
    library.replace_in("models/marts/_marts__models.yml", online, batch)
    library.said("build", "--select", TITLES)
    facts = (library.path / SEED).read_text()
    (library.path / SEED).write_text(f"{facts}south,10,2026-03-11 11:45:00,1,0.5,S\n")
    library.said("build", "--select", f"+{TITLES}")
    assert stale(library) == []
    assert ("south", 10) in {row[:2] for row in rows(library)}
    facts = (library.path / SEED).read_text()
    (library.path / SEED).write_text(f"{facts}south,10,2026-03-11 09:00:00,1,0.5,S\n")
    library.said("build", "--select", f"+{TITLES}")
    assert [one.split(" after")[0] for one in stale(library)] == [
        f"{TITLES} from 2026-03-11 to 2026-03-12 (1 day) is stale: 1 fact of shelf_checks came"
    ]


CHECKS = (
    CONFIG["replace_range"].replace("config(", "config(event_time='known_at', ")
    + "select * from {{ ref('shelf_checks') }} where {{ martfeast.in_increment('known_at') }}"
)
OF_A_LATER_TIME = (
    CONFIG["replace_range"]
    + """select
    branch_code, title_id, known_at + interval 30 days as known_at,
    cast(copies_free as integer) as copies_free, waiting_days, shelf_mark
from {{ ref('checks') }}
where {{ martfeast.in_increment('known_at + interval 30 days') }}
"""
)
LOADED = """
sources:
  - name: shelves
    tables: [{name: checks, config: {loaded_at_field: loaded_at}}]
"""


def test_rows_of_a_later_time_than_their_facts_are_named_by_their_own_days(replaced):
    """As a schedule is; the facts are made by ranges too, and say when they were loaded."""
    library = replaced
    (library.path / "models/sources.yml").write_text(LOADED)
    (library.path / "models/staging/checks.sql").write_text(CHECKS)
    (library.path / SQL).write_text(OF_A_LATER_TIME)

    def land(days, changed=0):
        head, *facts = seed_of(days).splitlines()
        facts = [
            one.replace(f"-{changed:02} 08:00:00,1", f"-{changed:02} 08:00:00,2") for one in facts
        ]
        lines = [f"{head},loaded_at", *(f"{one},2026-04-{max(days)} 06:00:00" for one in facts)]
        (library.path / SEED).write_text("\n".join(lines) + "\n")

    land(range(1, 13))
    library.said("build", "--full-refresh", "--select", f"+{TITLES}")
    land(range(1, 14))
    library.said("build", "--select", f"+{TITLES}")
    assert stale(library) == []
    land(range(1, 14), changed=2)
    old = ["--event-time-start", "2026-03-02", "--event-time-end", "2026-03-03"]
    library.said("build", "--select", "shelf_checks")
    library.said("run", "--select", "checks", *old)
    library.said("build", "--select", f"checks+,+{TITLES}")
    (named,) = stale(library)
    assert named.startswith(f"{TITLES} from 2026-04-01 to 2026-04-02 (1 day) is stale: facts of")
    result, said = backfill(library, *named.split(TITLES)[-1].split())
    assert result.returncode == 0, said
    assert f"{TITLES}: 0 rows added, 2 rows changed, 0 rows gone" in said
    assert stale(library) == []


REACHES = {
    "sum(x) over (order by t range between interval '3 days' preceding and current row)": 259_201,
    "sum(x) over w window w as (order by t range interval 90 minutes preceding)": 5_401,
    "RANGE BETWEEN INTERVAL '2' WEEK PRECEDING AND INTERVAL (1) DAY PRECEDING": 1_209_601,
    "range between interval (24) hours preceding and current row": 86_401,
    "range between interval 1 month preceding and interval 1 day following": 2_678_401,
    "sum(x) over (order by t rows between 3 preceding and current row)": 0,
    "select t + interval '28 days' as t": 0,
}
SIZES = {
    ("day", "2 days"): "day",
    ("day", "1 week"): "day",
    ("day", "12 hours"): "hour",
    ("day", "90 minutes"): "hour",
    ("day", "1.5 days"): "hour",
    ("month", "2 days"): "day",
    ("month", "1 month"): "month",
    ("hour", "2 days"): "hour",
}


def test_windows_and_batches_are_read_as_they_are_written(parsed):
    """How far the windows of SQL reach, and by which batches facts are noted."""
    node = {"unique_id": f"model.library.{TITLES}", "compiled_code": None}
    queries = [{**node, "raw_code": sql} for sql in REACHES]
    ranged = {"materialized": "incremental", "incremental_strategy": "replace_range"}
    batches = [
        {"config": {**ranged, "meta": {"feast": {"batch": {"size": size, "lateness": lateness}}}}}
        for size, lateness in SIZES
    ]
    inline = (
        f"{{% for one in {queries} %}}{{{{ martfeast.look_back_seconds(one) }}}},{{% endfor %}}"
        f"{{% for one in {batches} %}}{{{{ martfeast.fact_batch_size(one) }}}},{{% endfor %}}"
    )
    (parsed.path / "models/asked.sql").write_text(
        f"select '{{% if execute %}}{inline}{{% endif %}}'"
    )
    result = parsed.dbt("compile", "--select", "asked")
    assert result.returncode == 0, result.stdout
    sql = (parsed.path / "target/compiled/library/models/asked.sql").read_text()
    said = sql.split("'")[1].rstrip(",").split(",")
    assert said == [*map(str, REACHES.values()), *SIZES.values()]


def test_a_backfill_that_failed_goes_on_where_it_was(ranged):
    library, _ = ranged
    release = number_of(library)
    (library.path / SEED).write_text(
        seed_of(range(1, 13), copies=3).replace("2026-03-04 08:00:00,3", "2026-03-04 08:00:00,x")
    )
    # Text where a number is to be stops the fourth day only.
    library.replace_in("dbt_project.yml", "waiting_days: float}",
                       "waiting_days: float, copies_free: varchar}")  # fmt: skip
    assert library.dbt("seed", "--full-refresh").returncode == 0
    result, said = backfill(library, "--from", "2026-03-02", "--to", "2026-03-07")
    assert result.returncode == 1
    assert "[backfill-failed]" in said
    assert "2 days are made and stand; nothing is published" in said
    assert "Traceback" not in said
    assert number_of(library) == release
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    assert library.dbt("seed", "--full-refresh").returncode == 0
    result, said = backfill(library, "--from", "2026-03-02", "--to", "2026-03-07")
    assert result.returncode == 0, said
    assert "2 days of this backfill are made already, and stand" in said
    assert "3 days of 3 made" in said
    assert number_of(library) == release + 1


@pytest.mark.parametrize(
    ("name", "start", "end", "rule"),
    [
        (TITLES, "2026-03-07", "2026-03-05", "range-reversed"),
        (TITLES, "2026-03-05", "2026-03-05", "range-reversed"),
        (TITLES, "2026-02-28", "2026-03-05", "range-before-start"),
        (TITLES, "2026-03-05", "2999-01-01", "range-in-the-future"),
        (ACTIVITY, "2026-03-05", "2026-03-06", "not-made-by-ranges"),
        ("title_availibility", "2026-03-05", "2026-03-06", "model-unknown"),
    ],
)
def test_a_range_that_cannot_be_is_refused(ranged_once, name, start, end, rule):
    library = ranged_once
    before = library.published_bytes()
    result = library.martfeast("backfill", name, "--from", start, "--to", end, cwd=library.path)
    assert result.returncode == 2
    assert f"[{rule}]" in result.stderr
    assert "nothing was changed" in result.stderr
    assert library.published_bytes() == before


@pytest.fixture(scope="module")
def ranged_once(tmp_path_factory, parsed_library):
    """A project with a mart by ranges, parsed and not built: tests do not change it."""
    library = parsed_library.copy_to(tmp_path_factory.mktemp("ranged") / "project")
    (library.path / SQL).write_text(CONFIG["microbatch"] + (library.path / SQL).read_text())
    return library


def test_a_backfill_that_is_killed_goes_on_where_it_was(replaced):
    library = replaced
    release = number_of(library)
    (library.path / SEED).write_text(seed_of(range(1, 13), copies=3))
    assert library.dbt("seed").returncode == 0
    arguments = ("backfill", TITLES, "--from", "2026-03-02", "--to", "2026-03-12")
    running = library.start("martfeast", *arguments)
    while "2 days of 10 made" not in running.said:
        assert running.is_running(), running.said
        time.sleep(0.1)
    running.kill()
    assert number_of(library) == release
    result = library.martfeast(*arguments, cwd=library.path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "of this backfill are made already, and stand" in result.stdout
    assert "20 rows changed" in result.stdout
    assert number_of(library) == release + 1


def test_if_the_process_of_dbt_is_killed_the_command_is_worth_a_retry(ranged_once, tmp_path):
    library = ranged_once.copy_to(tmp_path / "project")
    arguments = ("backfill", TITLES, "--from", "2026-03-02", "--to", "2026-03-12")
    running = library.start("martfeast", *arguments)
    of_dbt: list[psutil.Process] = []
    while not of_dbt:
        assert running.is_running(), running.said
        children = psutil.Process(running.process).children()
        of_dbt = [one for one in children if "resource_tracker" not in " ".join(one.cmdline())]
    of_dbt[0].kill()
    ended = running.wait()
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "[dbt-ended]" in ended.stderr


def test_a_new_feature_leaves_the_others_as_they_were(replaced):
    library = replaced
    library.replace_in(SQL, "on_schema_change='fail'", "on_schema_change='append_new_columns'")
    library.replace_in(SQL, "    shelf_mark", "    shelf_mark,\n    copies_free * 2 as twice")
    library.replace_in(
        "models/marts/_marts__models.yml",
        "      - name: shelf_mark\n",
        "      - name: twice\n        data_type: integer\n        description: Twice the copies.\n"
        "      - name: shelf_mark\n",
    )
    result, said = backfill(library, "--from", "2026-03-01", "--to", "2026-03-13")
    assert result.returncode == 0, said
    assert f"{TITLES}: no row is another than before" in said
    assert "  twice is new" in said
    assert "every other column is as it was, in every row that both have" in said


def test_what_was_never_built_is_refused(ranged_once, tmp_path):
    library = ranged_once.copy_to(tmp_path / "project")
    library.execute("create table something_else (x int)")
    result = library.martfeast(
        "backfill", TITLES, "--from", "2026-03-01", "--to", "2026-03-02", cwd=library.path
    )
    assert result.returncode == 2
    assert "[evidence-missing]" in result.stderr
    assert "Run `dbt build` once" in result.stderr


def test_it_runs_from_any_folder_with_dbts_options(replaced, tmp_path):
    library = replaced
    (library.path / "profiles.yml").rename(tmp_path / "profiles.yml")
    (tmp_path / "elsewhere").mkdir()
    options = ["--project-dir", "../project", "--profiles-dir", "..", "--target-path", "artifacts"]
    result = library.martfeast(
        *("backfill", TITLES, "--from", "2026-03-01", "--to", "2026-03-03", *options),
        cwd=tmp_path / "elsewhere",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{TITLES}: no row is another than before" in result.stdout
    assert (library.path / "artifacts/manifest.json").exists()


def test_a_full_refresh_that_is_killed_leaves_a_gap(built_ranged, tmp_path):
    """Its first batch takes the place of all that was there."""
    library = built_ranged("microbatch").copy_to(tmp_path / "project")
    refresh = ("run", "--full-refresh", "--select", TITLES, *WHOLE["microbatch"])
    running = library.start("dbt", *refresh, "--no-use-colors")
    running.wait_for("Batch 3 of 12 START")
    running.kill()
    library.said("build", "--event-time-start", "2026-03-12", "--event-time-end", "2026-03-13")
    assert len(rows(library)) < 24
    (reason,) = library.published_mart(TITLES)["held_back"]
    assert f"{TITLES} has no rows of 2026-03-01 00:00 to 2026-03-12 00:00" in reason


def test_a_backfill_notes_how_new_the_sources_were_that_it_read(replaced):
    """Without that, the gate would refuse every mart on sources after a backfill."""
    source = "sources: [{name: raw, schema: main, tables: [{name: shelf_checks, config:"
    source += " {loaded_at_field: known_at, freshness: {warn_after: {count: 9, period: day}}}}]}]"
    (replaced.path / "models/raw.yml").write_text(source)
    sql = (replaced.path / SQL).read_text()
    (replaced.path / SQL).write_text(
        sql.replace("ref('shelf_checks')", "source('raw', 'shelf_checks')")
    )
    assert replaced.dbt("build", "--full-refresh").returncode == 0
    loads = replaced.published_mart(TITLES)["sources"]
    assert [load["loaded_at"] for load in loads] == ["2026-03-12 08:00:00"]
    result, said = backfill(replaced, "--from", "2026-03-05", "--to", "2026-03-07")
    assert result.returncode == 0, said
    assert replaced.published_mart(TITLES)["sources"] == loads
