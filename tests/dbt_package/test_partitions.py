"""A mart of batches is published as a folder of days or months: the same rows, hashes and counts.

What did not change is linked and not written again, whatever else is true of the rows.
"""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import Library, copy_library
from feast import FeatureStore
from feast.infra.offline_stores.file_source import FileSource
from martfeast.published.prune import prune
from martfeast.published.release import Release
from pyarrow import parquet

pytestmark = pytest.mark.slow

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
YAML, SHELVES = "models/marts/_marts__models.yml", "seeds/shelf_checks.csv"
PLUGIN = "      plugins: [{module: martfeast.publishing.links}]\n"
LATER_ROW = "north,10,2026-03-09 08:00:00,2,0.5,N-1\n"
Edit = Callable[[str], str]


def in_batches(library: Library) -> None:
    """Declare batches of an hour, a day and a month, one for each mart; link what stays."""
    text = (library.path / YAML).read_text()
    head, titles = text.split(f"  - name: {TITLES}\n")
    known_at = "          timestamp: known_at\n"
    head = head.replace(known_at, f"{known_at}          batch: {{size: hour}}\n")
    titles = titles.replace(known_at, f"{known_at}          batch: {{size: day}}\n")
    asked_at = "          timestamp: predicted_at\n"
    titles = titles.replace(asked_at, f"{asked_at}          batch: {{size: month}}\n")
    (library.path / YAML).write_text(f"{head}  - name: {TITLES}\n{titles}")
    with (library.path / "profiles.yml").open("a") as profiles:
        profiles.write(PLUGIN)


@pytest.fixture(scope="module")
def built_in_partitions(build_once):
    """The library with its three marts in partitions; tests read it and do not change it."""

    def build(path: Path) -> None:
        library = copy_library(path)
        in_batches(library)
        for command in ("deps", "build"):
            result = library.dbt(command)
            assert result.returncode == 0, result.stdout

    return Library(build_once("partitioned", build))


@pytest.fixture
def batched(built_in_partitions, tmp_path):
    """The same, for one test to change."""
    return built_in_partitions.copy_to(tmp_path / "batched")


def parts(library: Library, mart: str = TITLES) -> dict[str, Path]:
    """The files of the version that is published, by name."""
    version = library.published / library.published_mart(mart)["path"]
    return {file.stem: file for file in sorted(version.iterdir()) if file.suffix == ".parquet"}


def inodes(library: Library, mart: str = TITLES) -> dict[str, int]:
    return {name: file.stat().st_ino for name, file in parts(library, mart).items()}


def seed(library: Library, edit: Edit, file: str = SHELVES) -> list[str]:
    path = library.path / file
    path.write_text(edit(path.read_text()))
    return library.said("build")


def what_is_said(library: Library, mart: str = TITLES) -> dict[str, object]:
    """What a release says of a mart's rows, however they are published."""
    record = library.published_mart(mart)
    keys = ["row_count", "content_hash", "columns", "first_known_at", "last_known_at"]
    keys += ["covered_row_count", "restated_row_count"]
    return {key: record[key] for key in keys}


def published_whole(library: Library, mart: str = TITLES) -> dict[str, object]:
    """What a release says of the same rows, published as one file in a folder of its own."""
    where = "published_path: out/published"
    library.replace_in("dbt_project.yml", where, "published_path: out/whole")
    batches = (library.path / YAML).read_text()
    lines = batches.splitlines(keepends=True)
    (library.path / YAML).write_text("".join(line for line in lines if "batch:" not in line))
    library.said("build")
    release = json.loads((library.path / "out/whole/current.json").read_text())
    (library.path / YAML).write_text(batches)
    library.replace_in("dbt_project.yml", "published_path: out/whole", where)
    record = next(one for one in release["marts"] if one["mart"] == mart)
    assert record["partitions"] is None
    assert (library.path / "out/whole" / record["path"]).is_file()
    return record


def edit_release(library: Library, edit: Callable[[dict[str, object]], object]) -> None:
    """Change what the release says of the partitions of title_availability; the checksum fits."""
    release = library.release()
    for mart in release["marts"]:
        if mart["mart"] == TITLES:
            edit(mart["partitions"])
    del release["checksum"]
    body = json.dumps(release, separators=(",", ":"))
    checksum = hashlib.sha256(body.encode()).hexdigest()
    pointer = library.published / "current.json"
    pointer.write_text(f'{{"checksum":"{checksum}",{body[1:]}\n')


def without_moment(library: Library, mart: str) -> list[dict[str, object]]:
    """The rows of a version in the order of its files, without when they were published."""
    table = parquet.read_table(library.published / library.published_mart(mart)["path"])
    return table.drop_columns(["published_at"]).to_pylist()


@pytest.mark.parametrize("mart", [ACTIVITY, TITLES, LABELS])
def test_the_version_is_that_of_the_mart_published_whole(built_in_partitions, built_library, mart):
    """Same hash, columns and moments; same rows, types and order."""
    assert what_is_said(built_in_partitions, mart) == what_is_said(built_library, mart)
    assert without_moment(built_in_partitions, mart) == without_moment(built_library, mart)
    (whole,) = built_library.published.glob(f"marts/library.{mart}/*.parquet")
    for file in parts(built_in_partitions, mart).values():
        assert parquet.read_schema(file) == parquet.read_schema(whole)
    expected = {
        ACTIVITY: ["2026-03-01", "2026-03-02", "2026-03-09"],  # batches of an hour
        TITLES: ["2026-03-01", "2026-03-02", "2026-03-03"],
        LABELS: ["2026-03"],
    }
    assert list(parts(built_in_partitions, mart)) == expected[mart]


def test_an_increment_links_what_did_not_change_and_writes_what_did(batched):
    before = inodes(batched)
    said = seed(batched, lambda text: text.replace("1,1.5,", "2,1.5,") + LATER_ROW)
    assert said == [
        "release 2 in out/published: 1 of 3 marts have a new version",
        "published (rows): title_availability 5",
        "restated: title_availability: 1 of 4 rows that were published before, in 2026-03-02 (1)",
    ]
    after = inodes(batched)
    assert list(after) == ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-09"]
    assert {name for name in before if after[name] == before[name]} == {"2026-03-01", "2026-03-03"}
    whole = published_whole(batched)
    assert what_is_said(batched)["content_hash"] == whole["content_hash"]
    # A day that is gone is gone, and the rest is linked once more.
    seed(batched, lambda text: text.replace(LATER_ROW, ""))
    assert inodes(batched) == {name: after[name] for name in list(after)[:3]}
    # What is the same stays the version that it is.
    assert batched.said("build") == ["nothing new to publish; release 3 in out/published stays"]


def test_without_the_function_that_links_files_are_copied(batched):
    batched.replace_in("profiles.yml", PLUGIN, "")
    before = {name: file.read_bytes() for name, file in parts(batched).items()}
    old = inodes(batched)
    said = seed(batched, lambda text: text + LATER_ROW)
    assert said[0] == (
        "3 files of partitions that did not change were copied. To link them instead, add to the"
        " target in profiles.yml: plugins: [{module: martfeast.publishing.links}]"
    )
    assert not set(old.values()) & set(inodes(batched).values())
    assert (
        before.items() <= {name: file.read_bytes() for name, file in parts(batched).items()}.items()
    )
    assert "published: ok" in batched.martfeast("status", TITLES, cwd=batched.path).stdout


@pytest.mark.parametrize("settled", [False, True])
def test_a_part_that_is_damaged_is_found_named_and_mended(batched, settled):
    """One that was just written, and one that a version links whose bytes are long known."""
    if settled:
        for file in parts(batched).values():
            os.utime(file, (1_700_000_000, 1_700_000_000))
        seed(batched, lambda text: text + LATER_ROW)
        known = batched.published_mart(TITLES)["partitions"]["files"]
        assert [one["modified"] is not None for one in known] == [True, True, True, False]
    before, said_before = inodes(batched), what_is_said(batched)
    damaged = parts(batched)["2026-03-02"]
    content = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(content[::-1])
    status = batched.martfeast("status", TITLES, cwd=batched.path).stdout
    assert "2026-03-02.parquet has other bytes than were written" in " ".join(status.split())
    said = batched.said("build")
    assert said[0] == f"{damaged.relative_to(batched.published)} is not as it was published"
    assert "1 of 3 marts have a new version" in said[1]
    after = inodes(batched)
    assert {name for name in after if after[name] != before[name]} == {"2026-03-02"}
    # Its rows are the same, so that nothing counts as restated.
    assert what_is_said(batched)["content_hash"] == said_before["content_hash"]
    assert batched.published_mart(TITLES)["restated_row_count"] == 0
    assert batched.martfeast("status", cwd=batched.path).returncode in (0, 1)
    assert "published: ok" in batched.martfeast("status", TITLES, cwd=batched.path).stdout


def test_a_day_whose_file_is_damaged_and_whose_rows_changed_counts_whole(batched):
    damaged = parts(batched)["2026-03-01"]
    damaged.unlink()
    seed(batched, lambda text: text.replace("4,0.5,", "5,0.5,"))
    record = batched.published_mart(TITLES)
    assert (record["restated_row_count"], record["covered_row_count"]) == (2, 4)
    assert record["restated_partitions"] == [{"name": "2026-03-01", "row_count": 2}]


EDITS: list[tuple[str, Edit]] = [
    (SHELVES, lambda text: text + LATER_ROW),
    (SHELVES, lambda text: text.replace("1,1.5,", "2,1.5,")),
    (SHELVES, lambda text: text + LATER_ROW.replace("03-09", "03-10")),
    # A row that moves to another day, one that is lost, one that comes late, and one twice over.
    (SHELVES, lambda text: text.replace("north,11,2026-03-01", "north,11,2026-03-02")),
    (SHELVES, lambda text: text.replace("north,10,2026-03-03 08:00:00,0,6.25,N-1\n", "")),
    (SHELVES, lambda text: text + "south,11,2026-03-01 09:00:00,1,,S-1\n"),
    ("seeds/loan_events.csv", lambda text: text.replace("03-20 11:00", "03-17 11:00")),
    # A label that becomes known is no restatement.
    (
        "seeds/loan_events.csv",
        lambda text: text.replace("22 00:00:00,\n", "22 00:00:00,2026-03-25\n"),
    ),
]


def test_restatements_are_those_that_a_comparison_of_whole_files_finds(batched, library):
    """Numbers and baseline, over a history of corrections; and the days are named."""
    named = []
    for file, edit in EDITS:
        seed(batched, edit, file)
        seed(library, edit, file)
        for mart in (TITLES, LABELS):
            assert what_is_said(batched, mart) == what_is_said(library, mart), (file, mart)
            newest = [
                one.published_mart(mart)["baseline"] == one.published_mart(mart)["path"]
                for one in (batched, library)
            ]
            assert newest[0] == newest[1]
        named.append(
            {
                one["name"]: one["row_count"]
                for mart in (TITLES, LABELS)
                for one in batched.published_mart(mart)["restated_partitions"]
            }
        )
    assert named == [
        {},
        {"2026-03-02": 1},
        {"2026-03-02": 1},
        {"2026-03-01": 1, "2026-03-02": 2},
        {"2026-03-01": 1, "2026-03-02": 2, "2026-03-03": 1},
        {"2026-03-01": 1, "2026-03-02": 2, "2026-03-03": 1},
        {"2026-03-01": 1, "2026-03-02": 2, "2026-03-03": 1, "2026-03": 1},
        {"2026-03-01": 1, "2026-03-02": 2, "2026-03-03": 1, "2026-03": 1},
    ]
    status = " ".join(batched.martfeast("status", TITLES, cwd=batched.path).stdout.split())
    assert "restated 3 of 5 rows, in 2026-03-03 (1), 2026-03-02 (2), 2026-03-01 (1)" in status
    assert "are lost or others in version" in status
    assert ", in 2026-03-03 (1)" in status


def test_prune_takes_old_versions_and_no_file_that_another_has(batched):
    old = parts(batched)
    alone = old["2026-03-02"].stat().st_size
    seed(batched, lambda text: text.replace("1,1.5,", "2,1.5,"))
    folder = next(iter(old.values())).parent
    with_baseline = batched.martfeast("prune", cwd=batched.path)
    assert with_baseline.returncode == 0
    assert folder.exists()  # history is compared with it
    batched.replace_in("dbt_project.yml", "replay:", "keep_releases: 1\n    replay:")
    text = (batched.path / YAML).read_text()
    expected = "          batch: {size: day}\n"
    restated = f"{expected}          restatement: {{expected: A test.}}\n"
    (batched.path / YAML).write_text(text.replace(expected, restated))
    seed(batched, lambda text: text.replace("2,1.5,", "3,1.5,"))
    before = {name: file.read_bytes() for name, file in parts(batched).items()}
    release = (batched.published / "releases/000001.json").stat().st_size
    dry = prune(batched.published, 1, [], dry_run=True)
    assert folder in dry.removed
    # Of two versions, the day that each had for itself, and two releases.
    assert dry.removed_bytes < 2 * alone + 3 * release
    assert batched.martfeast("prune", cwd=batched.path).returncode == 0
    assert not folder.exists()
    assert {name: file.read_bytes() for name, file in parts(batched).items()} == before
    assert {file.stat().st_nlink for file in parts(batched).values()} == {1}
    assert "published: ok" in batched.martfeast("status", TITLES, cwd=batched.path).stdout


def test_hashes_of_another_duckdb_are_not_trusted(batched):
    """The cheap ones hold for one version of DuckDB: of another, all rows are hashed in full."""
    expected = published_whole(batched)["content_hash"]

    def of_another(partitions):
        partitions["hashed_by"] = "v0.1.0"
        for file in partitions["files"]:
            file["fingerprint"] = "0" * 32

    before = inodes(batched)
    edit_release(batched, of_another)
    assert seed(batched, lambda text: text)[-1].startswith("nothing new to publish")
    assert what_is_said(batched)["content_hash"] == expected
    edit_release(batched, of_another)
    seed(batched, lambda text: text + LATER_ROW)
    after = inodes(batched)
    assert before.items() <= after.items()
    record = batched.published_mart(TITLES)
    assert record["partitions"]["hashed_by"] == f"v{duckdb.__version__}"
    assert what_is_said(batched)["content_hash"] == published_whole(batched)["content_hash"]

    def wrong_and_of_another(partitions):
        partitions["hashed_by"] = "v0.1.0"
        partitions["files"][0]["lower_sum"] = "1"

    edit_release(batched, wrong_and_of_another)
    seed(batched, lambda text: text.replace(LATER_ROW, ""))
    assert what_is_said(batched)["content_hash"] == expected


def test_of_what_did_not_change_the_full_hash_is_not_computed(batched):
    """It is taken from the release: wrong sums there, which nobody writes, would stay."""

    def wrong(partitions):
        partitions["files"][0]["lower_sum"] = "1"

    edit_release(batched, wrong)
    seed(batched, lambda text: text + LATER_ROW)
    files = batched.published_mart(TITLES)["partitions"]["files"]
    assert files[0]["lower_sum"] == "1"
    # Its own rows changed: it is computed.
    seed(batched, lambda text: text.replace("4,0.5,", "5,0.5,"))
    assert batched.published_mart(TITLES)["partitions"]["files"][0]["lower_sum"] != "1"
    assert what_is_said(batched)["content_hash"] == published_whole(batched)["content_hash"]


def test_what_duckdb_hashes_alike_and_prints_otherwise_is_a_change(batched):
    """Minus zero is zero to `hash`; the content hash is of text."""
    seed(batched, lambda text: text.replace(",0.25,", ",0.0,"), "seeds/member_days.csv")
    before = inodes(batched, ACTIVITY)
    batched.replace_in(
        f"models/marts/{ACTIVITY}.sql",
        "    overdue_share_30d,",
        "    case when overdue_share_30d = 0 then cast('-0.0' as double) else overdue_share_30d end"
        " as overdue_share_30d,",
    )
    batched.dbt("build")
    after = inodes(batched, ACTIVITY)
    assert after["2026-03-02"] != before["2026-03-02"]


def test_days_are_of_utc_and_rows_without_a_moment_have_a_file_of_their_own(batched):
    """Whatever zone the session has; the last microsecond of a day belongs to it."""
    batched.replace_in("profiles.yml", "TimeZone: UTC", "TimeZone: America/New_York")
    yaml = (batched.path / YAML).read_text()
    head, tail = yaml.split(f"  - name: {TITLES}\n")
    checked = (
        "        description: When the shelf was checked, UTC.\n        data_tests: [not_null]\n"
    )
    assert checked in tail
    tail = tail.replace(checked, checked.replace("        data_tests: [not_null]\n", ""))
    (batched.path / YAML).write_text(f"{head}  - name: {TITLES}\n{tail}")
    rows = (
        "north,10,2026-03-28 23:59:59.999999,1,,N-1\nnorth,10,2026-03-29 00:00:00,2,,N-1\n"
        "north,11,,3,,N-1\n"
    )
    seed(batched, lambda text: text + rows)
    counts = {name: parquet.read_metadata(file).num_rows for name, file in parts(batched).items()}
    assert counts == {
        "2026-03-01": 2,
        "2026-03-02": 1,
        "2026-03-03": 1,
        "2026-03-28": 1,
        "2026-03-29": 1,
        "no_time": 1,
    }
    assert what_is_said(batched)["content_hash"] == published_whole(batched)["content_hash"]
    before = inodes(batched)
    seed(batched, lambda text: text + LATER_ROW)
    assert before.items() <= inodes(batched).items()


def test_a_view_and_a_timestamp_of_any_name(batched):
    """A view is computed once for all its days; names of the package's own tables are free."""
    head, tail = (batched.path / YAML).read_text().split(f"  - name: {TITLES}\n")
    titles, labels = tail.split(f"  - name: {LABELS}\n")
    titles = titles.replace("known_at", "starts_at")
    (batched.path / YAML).write_text(
        f"{head}  - name: {TITLES}\n{titles}  - name: {LABELS}\n{labels}"
    )
    model = f"models/marts/{TITLES}.sql"
    batched.replace_in(model, "    known_at,", "    known_at as starts_at,")
    view = "{{ config(materialized='view') }}\n"
    (batched.path / model).write_text(view + (batched.path / model).read_text())
    shutil.rmtree(batched.published)
    batched.said("build")
    before = inodes(batched)
    assert seed(batched, lambda text: text.replace("1,1.5,", "2,1.5,") + LATER_ROW)[-1] == (
        "restated: title_availability: 1 of 4 rows that were published before, in 2026-03-02 (1)"
    )
    after = inodes(batched)
    assert {name for name in before if after[name] == before[name]} == {"2026-03-01", "2026-03-03"}
    assert what_is_said(batched)["content_hash"] == published_whole(batched)["content_hash"]
    assert [row["copies_free"] for row in without_moment(batched, TITLES)] == [4, 7, 2, 0, 2]


def test_feast_reads_a_folder_of_days_as_it_reads_one_file(batched, library, tmp_path):
    """Rows asked for, a dataset, the online store; in a folder with a name as hive has it."""
    moved = batched.copy_to(tmp_path / "region=north")
    moved.replay()
    found = []
    for one in (moved, library):
        one.apply()
        with one.inside(one.path):
            store = FeatureStore(str(one.path / "feature_repo"))
            asked = pd.DataFrame(
                {
                    "member_id": [1, 2, 1],
                    "branch_code": ["north", "north", "south"],
                    "title_id": [10, 11, 10],
                    "event_timestamp": pd.to_datetime(
                        ["2026-03-03 00:00", "2026-03-05 00:00", "2026-03-09 12:00"], utc=True
                    ),
                }
            )
            service = store.get_feature_service("overdue_prediction")
            rows = store.get_historical_features(entity_df=asked, features=service).to_df()
            for command in (["dataset", "overdue_prediction", "--json"], ["materialize"]):
                done = one.martfeast(*command, cwd=one.path)
                assert done.returncode == 0, done.stdout + done.stderr
            (data,) = one.path.glob("out/datasets/overdue_prediction/*/*.parquet")
            keys = [{"branch_code": "north", "title_id": 10}]
            online = store.get_online_features(
                features=["title_availability:copies_free"], entity_rows=keys
            ).to_dict()
            source = store.get_feature_view("title_availability").batch_source
            assert isinstance(source, FileSource)
            columns = dict(source.get_table_column_names_and_types(store.config))
        table = parquet.read_table(data)
        found.append((rows, table, online, columns, columns.keys()))
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    assert found[0][1].equals(found[1][1])
    assert found[0][2:] == found[1][2:]


DYING = """\
import os, signal
from dbt.adapters.duckdb.plugins import BasePlugin
from martfeast.publishing import links


def die(pairs):
    links.link(pairs)
    os.kill(os.getpid(), signal.SIGKILL)


class Plugin(BasePlugin):
    def configure_connection(self, conn):
        conn.create_function("martfeast_link", die, ["VARCHAR"], "BIGINT", side_effects=True)
"""


def test_a_kill_among_the_files_of_a_version_leaves_the_last_release(batched):
    (batched.path / "dying.py").write_text(DYING)
    dies = "      module_paths: [.]\n      plugins: [{module: dying}]\n"
    batched.replace_in("profiles.yml", PLUGIN, dies)
    before, release = inodes(batched), batched.release()
    csv = batched.path / SHELVES
    csv.write_text(csv.read_text() + LATER_ROW)
    assert batched.dbt("build").returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert batched.release() == release
    folders = sorted(batched.published.glob(f"marts/library.{TITLES}/*.parquet"))
    assert len(folders) == 2
    batched.replace_in("profiles.yml", dies, PLUGIN)
    assert "1 of 3 marts have a new version" in batched.said("build")[0]
    assert before.items() <= inodes(batched).items()
    assert batched.martfeast("prune", cwd=batched.path).returncode == 0
    left = sorted(batched.published.glob(f"marts/library.{TITLES}/*.parquet"))
    assert len(left) == 2
    assert not set(left) >= set(folders)
    record = Release.read(batched.published / "current.json", batched.published)
    assert [one.version.file.damage for one in record.marts if one.version] == ["", "", ""]
