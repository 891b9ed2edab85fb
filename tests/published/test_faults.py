"""Kills, full disks, damaged files: nothing published is lost, and the next run heals."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore
from martfeast.datasets.folder import find_datasets, verify
from martfeast.offline_store.columns import OfflineDataError
from martfeast.published.replays import Replays
from martfeast.published.verified import SEEN, damage, file_sha256
from martfeast.version import VERSION
from pyarrow import parquet

SERVICE = "overdue_prediction"
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
BIN = Path(sys.executable).parent


def assert_readable(library) -> dict[str, Any]:
    """The current release is whole: every version in it is there with its rows."""
    release = library.release()
    for mart in release["marts"]:
        rows = parquet.read_metadata(library.published / mart["path"]).num_rows
        assert rows == mart["row_count"]
    return release


def sealed(release: dict[str, Any]) -> str:
    """A release as the dbt package writes it: after the checksum of what it says."""
    content = {key: value for key, value in release.items() if key != "checksum"}
    body = json.dumps(content, separators=(",", ":"))
    return f'{{"checksum":"{hashlib.sha256(body.encode()).hexdigest()}",{body[1:]}\n'


def shelves(library, copies: int) -> None:
    """Give each mart's seed other rows, all of one build."""
    (library.path / "seeds/shelf_checks.csv").write_text(
        "branch_code,title_id,known_at,copies_free,waiting_days,shelf_mark\n"
        f"north,10,2026-03-01 08:00:00,{copies},0.5,N-1\n"
    )
    (library.path / "seeds/loan_events.csv").write_text(
        "loan_id,member_id,branch_code,title_id,lent_at,due_at,returned_at\n"
        f"{copies},{copies},north,10,2026-03-02 00:00:00,2026-03-16 00:00:00,2026-03-10 12:00:00\n"
    )


# When to kill a build: after this long, or this long after something has appeared.
MOMENTS: list[tuple[str | None, float]] = [
    (None, 0.3),
    ("START seed", 0.0),
    ("START sql table", 0.0),
    ("START sql table", 0.1),
    ("START test", 0.05),
    ("on-run-end.0", 0.0),
    *(("OK hook: martfeast.on-run-end.0", delay / 1000) for delay in range(0, 180, 15)),
]


def kill_build(library, text: str | None, delay: float) -> None:
    """Start `dbt build`, wait for a text in its output, then a delay (seconds), then kill -9."""
    build = library.start("dbt", "build", "--no-use-colors")
    if text is not None:
        build.wait_for(text)
    time.sleep(delay)
    build.kill()


def test_a_kill_at_any_moment_of_a_build(library):
    """After each of many kills the old release or the new one holds, whole; never a mix."""
    old = library.versions()
    mixes = set()
    for number, (text, delay) in enumerate(MOMENTS, 1):
        shelves(library, number)
        kill_build(library, text, delay)
        release = assert_readable(library)
        versions = {mart["mart"]: mart["version"] for mart in release["marts"]}
        # Both seeds changed, and both marts on them change together or not at all.
        assert (versions[TITLES] == old[TITLES]) == (versions[LABELS] == old[LABELS])
        mixes.add(versions[TITLES] == old[TITLES])
        old = versions
    assert True in mixes  # some kill came before the switch
    # What is half built and was never tested is not published by tests alone.
    said = library.said("build")
    assert not [line for line in said if "held back" in line]
    assert_readable(library)
    rows = parquet.read_table(library.published / library.published_mart(TITLES)["path"])
    assert rows["copies_free"].to_pylist() == [len(MOMENTS)]


def test_rows_of_a_build_that_was_cut_off_are_unproven(library):
    """The seeds are new, and the marts may be; the release is not."""
    versions, record = library.versions(), (library.published / "replays.json").read_bytes()
    shelves(library, 1)
    kill_build(library, f"OK created sql table model main.{TITLES}", 0.0)
    # A replay would find that the marts are not made of these rows, and that is not their fault.
    replayed = library.martfeast("replay", "--select", TITLES, cwd=library.path)
    assert replayed.returncode == 1
    said = " ".join(replayed.stdout.split())
    assert "the warehouse has rows of `dbt build` of 20" in said
    assert "UTC, which was cut off, and release 1 is of before it" in said
    assert (library.published / "replays.json").read_bytes() == record
    # The warehouse may hold the new rows now. All tests pass on them, and yet they were not built
    # by a run that ended.
    said = library.said("test")
    held_back = [line for line in said if f"held back: {TITLES}" in line]
    assert "a run that was to build" in held_back[0]
    assert "was cut off" in held_back[0]
    assert library.versions() == versions
    replayed = library.martfeast("replay", "--select", LABELS, cwd=library.path)
    assert "its present rows are held back (a run that was to build" in replayed.stdout
    assert (library.published / "replays.json").read_bytes() == record
    library.said("build")
    assert library.versions()[TITLES] != versions[TITLES]


def test_a_replay_among_builds_is_of_one_release_and_says_which(library):
    """It has read the release when a build begins, and the warehouse when that is publishing."""
    assert library.feast("apply").returncode == 0
    (library.path / "wait").touch()
    library.path.with_name("temporary").mkdir()
    compiled = ["-m", "stopped", "wait", "shutil.rmtree martfeast-replay-", str(library.path)]
    versions = library.versions()
    replay = library.start(*compiled, "martfeast", "replay", "--select", TITLES)
    replay.wait_for("waits")
    shelves(library, 1)
    library.lower("history_unchanged")
    build = library.start("dbt", "build", "--no-use-colors")
    build.wait_for("on-run-end.0")
    build.pause()  # rows are built and tested, and not published
    assert library.release()["release_number"] == 1
    (library.path / "wait").unlink()
    replay.wait_for("open: waiting")
    assert replay.is_running(), replay.said
    # Who comes now and needs no warehouse works on what is published, or waits too.
    made = library.martfeast("dataset", SERVICE, cwd=library.path)
    assert made.returncode == 0, made.stderr
    ((folder, record),) = find_datasets(library.path / f"out/datasets/{SERVICE}")
    assert {one.mart: one.version for one in record.inputs.marts}[TITLES] == versions[TITLES]
    apply = library.start("feast", *library.in_feature_repo, "apply")
    prune = library.start("martfeast", "prune")
    build.resume()
    for one in (build, replay, apply, prune):
        done = one.wait()
        assert done.returncode == 0, one.said
    assert "dbt has published since the project was read: reading it again" in replay.said
    assert "release 2 was replayed" in replay.said
    assert_readable(library)
    assert library.versions()[TITLES] != versions[TITLES]
    verify(folder, record)
    status = library.martfeast("status", cwd=library.path)
    assert status.returncode == 0, status.stdout


def test_a_full_disk_and_a_read_only_folder_on_publish(library):
    """The folder of one mart is a file system of a few pages, and full; then all is read-only."""
    versions, before = library.versions(), library.published_bytes()
    shelves(library, 1)
    folder = f"out/published/marts/library.{TITLES}"
    script = (
        f"mount -t tmpfs -o size=16k tmpfs {folder}"
        f" && head -c 16k /dev/zero > {folder}/filler"
        f" && ! {BIN}/dbt build --no-use-colors && umount {folder} && echo read-only"
        " && mount --bind out/published out/published"
        " && mount -o remount,bind,ro out/published"
        f" && {BIN}/dbt build --no-use-colors"
    )
    result = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "bash", "-c", script],
        cwd=library.path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in result.stderr or "unshare:" in result.stderr:
        pytest.skip(f"this machine cannot mount a small disk: {result.stderr.strip()}")
    assert result.returncode != 0
    full, read_only = result.stdout.split("\nread-only\n")
    assert "No space left on device" in full
    assert 'out/published/publishing.duckdb": Read-only file system' in read_only
    advice = "if that fails, the last release stays: mend the cause, then run dbt build"
    assert f"writing 2 versions to out/published; {advice}" in full
    assert library.versions() == versions
    after = library.published_bytes()
    kept = [name for name in before if name != "pending.json"]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    library.said("build")
    assert_readable(library)
    assert library.versions()[TITLES] != versions[TITLES]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: None,
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"row_count":', '"row_count":1', 1),
        lambda text: text.replace('"format":6', '"format":4', 1),
    ],
    ids=["gone", "empty", "cut off", "of another kind", "edited", "older"],
)
def test_a_damaged_pointer_is_written_anew(library, damage):
    versions, number = library.versions(), library.release()["release_number"]
    pointer = library.published / "current.json"
    content = damage(pointer.read_text())
    if content is None:
        pointer.unlink()
    else:
        assert content != pointer.read_text()
        pointer.write_text(content)
        refused = library.martfeast("status", cwd=library.path)
        assert refused.returncode == 2
        assert "[release-unreadable]" in refused.stdout
        said = " ".join(refused.stdout.split())
        assert "Run `dbt build`: it writes the file anew." in said
    said = library.said("build")
    assert (
        "out/published/current.json is missing, damaged, edited or of an older martfeast" in said[0]
    )
    assert library.versions() == versions
    assert library.release()["release_number"] == number
    assert library.martfeast("status", cwd=library.path).returncode == 0


def odd_releases(release: dict[str, Any]) -> list[dict[str, Any]]:
    """Releases of which each has, in one field, what that field cannot have, or lacks it."""
    other: list[Any] = [-1, None, [], ["x"], {}, {"x": 1}]
    number = [*other, "x", 1.5e300, 10**30]
    listed: list[Any] = [None, {"x": 1}, "x", 7, ["x"], [None], [{}]]
    fields: dict[str, list[Any]] = {
        **{key: [*other, 7] for key in ("target", "target_schema", "location", "warehouse_id")},
        "release_number": [*number, 0],
        "marts": [*listed, release["marts"] * 2],
        "format": [None, "x", 2],
    }
    marts: dict[str, list[Any]] = {
        "unique_id": [None],
        "version": ["another", 7, {"x": 1}],
        "path": [*other, "../x", "marts/../x/current.parquet", "/etc/passwd"],
        "baseline": [7, {}, "../x", "marts/../current.json"],
        "published_at": [*other, "yesterday"],
        **{key: [None] for key in ("built_by", "content_hash")},
        **dict.fromkeys(("row_count", "covered_row_count", "restated_row_count"), number),
        **{key: ["x", [], {}] for key in ("first_known_at", "last_known_at")},
        **dict.fromkeys(("tests", "sources", "lineage", "columns", "restated_partitions"), listed),
        **{f"{of}partitions": ["x", 7, [], {}, {"files": []}] for of in ("", "baseline_")},
    }
    *others, activity = sorted(release["marts"], key=lambda mart: mart["mart"] == ACTIVITY)

    def with_mart(mart: dict[str, Any]) -> dict[str, Any]:
        return {**release, "marts": [*others, mart]}

    odd = [{**release, field: value} for field, values in fields.items() for value in values]
    odd += [{key: one for key, one in release.items() if key != field} for field in fields]
    for field, values in marts.items():
        odd += [with_mart({**activity, field: value}) for value in values]
        odd.append(with_mart({key: one for key, one in activity.items() if key != field}))
    return odd


def test_no_odd_value_in_a_release_stops_a_build_or_is_taken_over(library):
    """Each with its checksum, as a newer release than the one that is whole; all in one build.

    A mart that is held back keeps what the release says of it, so that what is odd would stay.
    """
    before, release = library.published_mart(ACTIVITY), library.release()
    texts = ["", "[]", "7", '"x"', "[" * 100_000, "\x00", sealed({"format": 3}), sealed({})]
    for number, odd in enumerate(odd_releases(release), 2):
        is_odd = odd.get("release_number") != release["release_number"]
        texts.append(sealed(odd if is_odd else {**odd, "release_number": number}))
    for number, text in enumerate(texts, 2):
        (library.published / f"releases/{number:06}.json").write_text(text)
    for name in ("releases/1 copy.json", "current.json"):
        (library.published / name).write_bytes(b"\xff\xfe")
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    said = library.said("build", succeeds=False)
    assert "current.json is missing, damaged, edited or of an older martfeast" in said[0]
    held_back = library.published_mart(ACTIVITY)
    assert held_back == {**before, "held_back": held_back["held_back"]}
    assert len(held_back["held_back"]) == 1


def test_what_a_newer_martfeast_wrote_is_left_alone(library):
    """By dbt and by every command, before any work; no reader takes it for its own."""
    pointer = library.published / "current.json"
    pointer.write_text(pointer.read_text().replace('"format":6', '"format":7', 1))
    before = library.published_bytes()
    refused = library.dbt("build")
    assert refused.returncode != 0
    assert "current.json has format 7, of a newer martfeast; this one reads 6" in refused.stdout
    assert "Nothing was changed." in refused.stdout
    for command in ("status", "replay", "prune"):
        refused = library.martfeast(command, cwd=library.path)
        assert refused.returncode == 2
        assert "format 7, of a newer martfeast" in " ".join(
            (refused.stdout + refused.stderr).split()
        )
    assert library.published_bytes() == before


def test_a_number_of_a_release_is_never_used_again(library):
    """Not even when no release can be read any more."""
    for file in [library.published / "current.json", *library.published.glob("releases/*.json")]:
        file.write_text("")
    library.said("build")
    assert library.release()["release_number"] == 2


@pytest.mark.parametrize("damage", ["edited", "cut off", "newer"])
def test_a_record_of_replays_that_is_not_as_written_is_no_evidence(library, damage):
    path = library.published / "replays.json"
    text = path.read_text()
    damaged = {
        "edited": text.replace('"compared": ', '"compared": 1', 1),
        "cut off": text[:-20],
        "newer": text.replace(f'"format": {Replays.FORMAT}', f'"format": {Replays.FORMAT + 1}', 1),
    }[damage]
    path.write_text(damaged)
    refused = library.martfeast("status", cwd=library.path)
    assert refused.returncode == 2
    assert "[replays-unreadable]" in refused.stdout
    replayed = library.martfeast("replay", cwd=library.path)
    if damage == "newer":
        assert replayed.returncode == 2
        assert "of a newer martfeast" in replayed.stderr
        assert path.read_text() == damaged
    else:
        assert replayed.returncode == 0, replayed.stderr
        assert library.martfeast("status", cwd=library.path).returncode == 0


def test_another_version_of_the_dbt_package_is_the_first_thing_said(library):
    """An old copy in dbt_packages, which `dbt deps` would have replaced."""
    installed = library.path / "dbt_packages/martfeast"
    package = installed.resolve()
    installed.unlink()
    shutil.copytree(package, installed)
    project = installed / "dbt_project.yml"
    project.write_text(project.read_text().replace(f'version: "{VERSION}"', 'version: "0.1.0"'))
    (library.path / "models/marts/title_availability.sql").write_text(
        "select 1"
    )  # and more is wrong
    for command in ("status", "replay", "prune", "drift x"):
        refused = library.martfeast(*command.split(), cwd=library.path)
        assert refused.returncode != 0
        said = (refused.stdout + refused.stderr).splitlines()
        assert said[0] == "martfeast: 1 problem; nothing was changed."
        assert "[package-version]" in said[1]
        assert f"is version 0.1.0, and the Python package is {VERSION}" in said[2]
        assert "Run `dbt deps`, then `dbt build`" in said[2]
    assert "[package-version]" in library.feast("apply").stderr
    assert library.dbt("deps").returncode == 0
    assert "[package-version]" not in library.martfeast("status", cwd=library.path).stdout


def test_a_version_file_that_is_gone_is_published_anew(library):
    versions = library.versions()
    (library.published / library.published_mart(TITLES)["path"]).unlink()
    library.said("build")
    now = library.versions()
    assert now[TITLES] != versions[TITLES]
    assert now[LABELS] == versions[LABELS]
    assert_readable(library)


def test_a_version_that_was_swapped_is_read_by_nobody_and_published_anew(library):
    """Other rows in its place, of its size and time; and the file that history is compared with."""
    library.apply()
    versions = library.versions()
    file = library.published / library.published_mart(TITLES)["path"]
    times = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    said = f"{file.name} has other bytes than were written. Remove it, then run `dbt build`"
    for command in ("status", "replay", f"dataset {SERVICE}", "materialize"):
        refused = library.martfeast(*command.split(), cwd=library.path)
        assert refused.returncode == 1
        assert said in " ".join((refused.stdout + refused.stderr).split())
    with pytest.raises(OfflineDataError, match="has other bytes than were written"):
        FeatureStore(str(library.path / "feature_repo")).get_historical_features(
            pd.DataFrame({"event_timestamp": [pd.Timestamp("2026-03-10")]}),
            [f"{TITLES}:copies_free"],
        )
    library.said("build")
    now = library.versions()
    assert now[TITLES] != versions[TITLES]
    assert now[LABELS] == versions[LABELS]
    assert library.martfeast("status", cwd=library.path).returncode == 0

    # Rows that nothing can be compared with are others, until somebody says that it is meant.
    (library.published / library.published_mart(TITLES)["path"]).unlink()
    shelves(library, 7)
    library.said("build")
    status = library.martfeast("status", cwd=library.path)
    assert "[history_unchanged]" in status.stdout


def test_a_warehouse_that_is_gone_is_built_anew_and_nothing_is_copied_twice(library):
    versions = library.versions()
    (library.path / "library.duckdb").unlink()
    assert library.martfeast("status", cwd=library.path).returncode == 0
    said = library.said("test", succeeds=False)
    assert "has not been built" in said[1]
    assert library.versions() == versions
    assert library.said("build") == ["nothing new to publish; release 1 in out/published stays"]
    assert library.versions() == versions


def test_a_locked_warehouse_leaves_everything_as_it_was(library):
    before = library.published_bytes()
    hold = (
        "import duckdb, sys; c = duckdb.connect('library.duckdb'); print('held'); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-uc", hold],
        cwd=library.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    result = library.dbt("build")
    assert result.returncode != 0
    assert "Could not set lock on file" in result.stdout
    assert f"PID {holder.pid}" in result.stdout
    assert library.published_bytes() == before
    assert library.martfeast("status", cwd=library.path).returncode == 0
    holder.stdin.close()
    holder.wait()
    assert library.dbt("build").returncode == 0


def test_a_clock_that_went_back(library):
    """All that was recorded and published so far lies a year in the future."""
    library.execute(
        "update martfeast.invocations set started_at = started_at + interval 1 year;"
        " update martfeast.completions set completed_at = completed_at + interval 1 year;"
        " update martfeast.results set started_at = started_at + interval 1 year,"
        " completed_at = completed_at + interval 1 year"
    )
    pointer = library.published / "current.json"
    release = json.loads(pointer.read_text())
    for mart in release["marts"]:
        mart["published_at"] = mart["published_at"].replace("2026", "2027", 1)
    pointer.write_text(sealed(release))
    versions = library.versions()

    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    said = library.said("build", succeeds=False)
    assert f"held back: {ACTIVITY}: test overdue_share_is_a_share failed (1)" in said[1]
    assert library.versions() == versions
    library.replace_in("seeds/member_days.csv", ",1.75,", ",0.8,")
    library.said("build")
    assert library.versions()[ACTIVITY] != versions[ACTIVITY]
    assert library.release()["release_number"] == 2
    pruned = library.martfeast("prune", cwd=library.path)
    assert pruned.returncode == 0
    assert_readable(library)


def test_apply_waits_while_dbt_publishes_and_says_so(library):
    lock = library.published / "publishing.duckdb"
    hold = (
        f"import duckdb, sys; c = duckdb.connect(); c.execute(\"attach '{lock}'\");"
        " print('held'); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-uc", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    apply = library.start("feast", *library.in_feature_repo, "apply")
    apply.wait_for(
        f"martfeast: dbt (process {holder.pid}) is publishing to {library.published}: waiting\n"
    )
    assert apply.is_running()
    holder.stdin.close()
    assert apply.wait().returncode == 0


def test_reading_while_releases_change_sees_one_of_them(library):
    """A reader that looks at any moment finds every file that the pointer names.

    Of two builds at once, the second fails before it changes anything.
    """
    shelves(library, 1)
    build = library.start("dbt", "build", "--no-use-colors")
    build.wait_for("START seed")
    second, process = library.start("dbt", "build", "--no-use-colors"), build.process
    looks = 0
    while build.is_running():
        assert_readable(library)
        looks += 1
    assert build.wait().returncode == 0
    assert looks > 10
    refused = second.wait()
    assert refused.returncode != 0
    assert "Could not set lock on file" in refused.stdout
    assert f"PID {process}" in refused.stdout
    assert library.release()["release_number"] == 2


def test_an_older_release_that_was_brought_back_is_told_and_followed_by_a_new_one(library):
    shelves(library, 1)
    library.lower("history_unchanged")
    library.said("build")
    newer = library.published / "releases/000002.json"
    shutil.copy(newer.with_name("000001.json"), library.published / "current.json")
    status = library.martfeast("status", cwd=library.path)
    said = "release 1 holds, and there is a release 2: an older one was brought back"
    assert said in " ".join(status.stdout.split())
    newer.unlink()  # and from now on only the warehouse knows of it
    said = library.said("build")
    assert "current.json was release 1, and there was a release 2 already" in said[0]
    assert assert_readable(library)["release_number"] == 3
    rows = parquet.read_table(library.published / library.published_mart(TITLES)["path"])
    assert rows["copies_free"].to_pylist() == [1]
    assert "warning: release" not in library.martfeast("status", cwd=library.path).stdout


def test_prune_keeps_what_is_needed(library, tmp_path):
    first = library.versions()
    assert library.feast("apply").returncode == 0
    library.replace_in(
        "dbt_project.yml",
        "    published_path: out/published",
        "    published_path: out/published\n    keep_releases: 2",
    )
    for copies in range(1, 5):
        shelves(library, copies)
        library.said("build")
    assert library.release()["release_number"] == 5
    dry = library.martfeast("prune", "--dry-run", cwd=library.path)
    before = library.published_bytes()
    assert "would remove 7 files" in dry.stdout
    assert library.published_bytes() == before

    pruned = library.martfeast("prune", cwd=library.path)
    assert pruned.returncode == 0, pruned.stderr
    # Two marts had five versions. History is compared with the first, because all others restate
    # it (one of them is registered too); the last two are in kept releases.
    for mart in (TITLES, LABELS):
        kept = [path.stem for path in library.published.glob(f"marts/library.{mart}/*.parquet")]
        assert len(kept) == 3
        assert first[mart] in kept
    assert sorted(path.name for path in (library.published / "releases").iterdir()) == [
        "000004.json",
        "000005.json",
    ]
    assert_readable(library)
    again = library.martfeast("prune", cwd=library.path)
    assert "removed 0 files" in again.stdout

    # A saved training set may name versions too.
    from feast import FeatureStore
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
    from feast.saved_dataset import SavedDataset

    store = FeatureStore(str(library.path / "feature_repo"))
    shelves(library, 9)
    library.said("build")
    label = library.published_mart(LABELS)["version"]
    dataset = SavedDataset(
        name="overdue_march",
        features=["title_availability:copies_free"],
        join_keys=["title_id"],
        storage=SavedDatasetFileStorage(path=str(tmp_path / "set.parquet")),
        tags={"label_version": f"library.{LABELS}/{label}"},
    )
    dataset.min_event_timestamp = dataset.max_event_timestamp = store.get_feature_view(
        TITLES
    ).created_timestamp
    store.registry.apply_saved_dataset(dataset, store.project)
    for copies in range(11, 14):
        shelves(library, copies)
        library.said("build")
    assert library.martfeast("prune", cwd=library.path).returncode == 0
    assert (library.published / f"marts/library.{LABELS}/{label}.parquet").exists()


def test_prune_leaves_what_is_being_written_and_takes_what_a_kill_left(library):
    fresh = library.published / "releases/tmp_000002.json"
    mart = library.published / f"marts/library.{TITLES}"
    datasets = library.path / f"out/datasets/{SERVICE}"
    (datasets / "0001").mkdir(parents=True)
    aside = "0" * 32
    old = [
        mart / "tmp_20260101T000000Z-0.parquet",
        mart / f".{SEEN}.{aside}",
        library.published / f".replays.json.{aside}",
        datasets / f"0001/.card.html.{aside}",
        library.path / f".dbt_project.yml.{aside}",
        library.path / f"feature_repo/.features.py.{aside}",
    ]
    for path in (fresh, *old):
        path.write_text("")
        os.utime(path, (0, 0) if path != fresh else None)
    building = datasets / f".building-{aside}"
    building.mkdir()
    (building / "data.parquet").write_text("")
    for path in (building / "data.parquet", building):
        os.utime(path, (0, 0))

    # A run that was cut off has said what it was to write, and has written it.
    file = library.published / library.published_mart(TITLES)["path"]
    unpublished = Path(shutil.copy(file, file.with_name("20990101T000000Z-0.parquet")))
    assert damage(unpublished, file.stat().st_size, file_sha256(file)) == ""
    assert unpublished.name in (mart / SEEN).read_text()
    pending = {"paths": [str(unpublished.relative_to(library.published))]}
    (library.published / "pending.json").write_text(json.dumps(pending))
    lock = library.published / "publishing.duckdb"
    hold = f"import duckdb, sys; c = duckdb.connect('{lock}'); print('held'); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-uc", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as publishing:
        assert publishing.stdout is not None
        assert publishing.stdout.readline() == "held\n"
        assert library.martfeast("prune", cwd=library.path).returncode == 0
        assert unpublished.exists()
        publishing.kill()
    assert not any(path.exists() for path in (*old, building))
    pruned = library.martfeast("prune", cwd=library.path)
    assert pruned.returncode == 0, pruned.stderr
    assert pruned.stdout.splitlines()[0] == str(unpublished)
    assert not unpublished.exists()
    assert unpublished.name not in (mart / SEEN).read_text()
    assert file.name in (mart / SEEN).read_text()
    assert fresh.exists()


def test_prune_keeps_what_an_older_release_names(library):
    """A release of an older format is not read, and its versions are not taken for unneeded."""
    shelves(library, 1)
    library.lower("history_unchanged")
    library.said("build")
    assert library.feast("apply").returncode == 0
    first = library.published / "releases/000001.json"
    first.write_text(first.read_text().replace('"format":6', '"format":4', 1))
    pruned = library.martfeast("prune", cwd=library.path)
    assert pruned.returncode == 0, pruned.stderr
    assert "removed 0 files" in pruned.stdout
    first.write_text("{")
    assert (
        "Remove it, if none of its versions" in library.martfeast("prune", cwd=library.path).stderr
    )


def test_prune_refuses_without_a_readable_release_or_registry(library):
    before = library.published_bytes()
    (library.published / "current.json").write_text("{")
    refused = library.martfeast("prune", cwd=library.path)
    assert refused.returncode == 2
    assert "Run `dbt build`: it writes it anew." in refused.stderr
    shutil.rmtree(library.path / "feature_repo")
    refused = library.martfeast("prune", cwd=library.path)
    assert refused.returncode == 2
    assert "has no feature_store.yaml. Name the feature repo" in refused.stderr
    after = library.published_bytes()
    assert set(after) == set(before)


def test_evidence_survives_a_failed_publish(library):
    """Recording is a hook of its own: what fails after it does not undo it."""
    shutil.rmtree(library.published / "marts")
    (library.published / "marts").write_text("in the way")
    invocations = library.query("select count(*) from martfeast.completions")[0][0]
    result = library.dbt("build")
    assert result.returncode != 0
    assert library.query("select count(*) from martfeast.completions")[0][0] == invocations + 1
