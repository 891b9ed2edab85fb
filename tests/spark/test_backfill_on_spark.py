"""A mart made by batches on Spark: what is refused, held back and made anew."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from conftest import REPOSITORY, BuildOnce, Library, Run
from martfeast.files import lock_holder
from test_spark_replay import PROFILE

pytestmark = pytest.mark.slow
MART = "levels_hourly"
ARGUMENTS = ("--from", "2026-03-01", "--to", "2026-03-03", "--target", "spark")
# What a whole build has: each hour from a meter's first reading on, over the 30 hours before.
WHOLE = """
    select
        firsts.meter_code,
        hours.known_at,
        coalesce(sum(level_millimetres), 0)::bigint as level_sum_30h,
        count(readings.known_at) as readings_30h
    from (select meter_code, min(known_at) as first_at from readings group by all) as firsts
    inner join (
        select unnest(generate_series(
            timestamp '2026-03-01', timestamp '2026-03-03 23:00:00', interval 1 hour
        )) as known_at
    ) as hours on hours.known_at >= firsts.first_at
    left join readings on
        readings.meter_code = firsts.meter_code
        and readings.known_at > hours.known_at - interval 30 hours
        and readings.known_at <= hours.known_at
    group by all
    order by all
"""


@pytest.fixture(scope="session")
def meters(build_once: BuildOnce, run: Run) -> dict[str, Any]:
    """What was said while batches were built, and of a backfill that was killed and run again."""

    def build(folder: Path) -> None:
        shutil.copytree(REPOSITORY / "tests/projects/meters", folder)
        profile = yaml.safe_load(PROFILE)
        (folder / "profiles.yml").write_text(yaml.safe_dump({"meters": profile["library"]}))
        package = REPOSITORY / "python/martfeast/dbt_package"
        (folder / "packages.yml").write_text(f"packages:\n  - local: {package}\n")
        library = Library(folder)
        library.run("dbt", "deps")
        script = str(Path(__file__).with_name("build_meters.py"))
        run("python", script, cwd=folder, PYTHONPATH=library.python_path)
        said = json.loads((folder / "said.json").read_text())
        killed = library.start("martfeast", "backfill", MART, *ARGUMENTS)
        while "1 day of 2 made" not in killed.said:
            assert killed.is_running(), killed.said
            time.sleep(0.1)
        killed.kill()
        said["is_published"] = (folder / "out/published/current.json").exists()
        while lock_holder(folder / "spark/metastore_db/dbex.lck"):
            time.sleep(0.1)
        done = library.run("martfeast", "backfill", MART, *ARGUMENTS)
        assert done.returncode == 0, done.stderr
        said["backfill"] = done.stdout
        (folder / "said.json").write_text(json.dumps(said))

    folder = build_once("meters", build)
    said: dict[str, Any] = json.loads((folder / "said.json").read_text())
    return {**said, "library": Library(folder)}


def test_a_model_whose_partitions_are_no_batches_is_named_before_anything_changes(meters) -> None:
    assert "levels_hourly is made by batches" in meters["unpartitioned"]
    assert "Write partition_by: batch_start under its config" in meters["unpartitioned"]
    assert "its table was made before it had a partition for each" in meters["made_before"]
    assert "Run dbt run --full-refresh --select levels_hourly" in meters["made_before"]
    assert "levels_hourly is made by batches of a month" in meters["other_size"]
    assert "its table has a partition 2026-03-0" in meters["other_size"]


def test_gaps_and_other_code_hold_a_mart_of_spark_back(meters) -> None:
    said = " ".join(meters["held_back"])
    assert "levels_hourly was built by other code for 2026-03-01 00:00 to 2026-03-02" in said
    assert "levels_hourly has no rows of 2026-03-02 00:00 to 2026-03-03 00:00" in said
    for first, after in ((1, 2), (2, 3)):
        command = f"levels_hourly --from 2026-03-0{first}T00:00 --to 2026-03-0{after}T00:00"
        assert f"martfeast backfill {command}" in said
    assert not meters["is_published"]


def test_a_killed_backfill_goes_on_and_its_rows_are_those_of_a_whole_build(meters) -> None:
    said, library = meters["backfill"], meters["library"]
    assert "1 day of this backfill are made already, and stand" in said
    assert "1 day of 1 made" in said
    assert "levels_hourly: published for the first time" in said
    assert "Release 1 holds." in said
    mart = library.published_mart(MART)
    assert mart["held_back"] == []
    with duckdb.connect() as connection:
        readings = ", ".join(
            f"('{code}', timestamp '{at}', {level})" for code, at, level in meters["readings"]
        )
        connection.execute(
            "create table readings as"
            f" from (values {readings}) as t (meter_code, known_at, level_millimetres)"
        )
        path = library.published / mart["path"]
        published = connection.execute(
            f"select * exclude (published_at) from '{path}/*.parquet' order by all"
        )
        assert published.fetchall() == connection.execute(WHOLE).fetchall()
