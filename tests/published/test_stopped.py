"""Commands that are stopped at their writes, by a kill or a full disk: nothing is half, all heals.

After a kill each file is the old one or the new one, the same command run again succeeds, and
`martfeast prune` then leaves the files that there are without any kill.
"""

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Library, Result
from martfeast.datasets.folder import find_datasets, verify
from martfeast.published.replays import Replays
from martfeast.published.verified import SEEN
from martfeast.registry import read_repos
from martfeast.to_feast.materialized import Materialized

SERVICE, VIEW, LABELS = "overdue_prediction", "title_availability", "loan_labels"
REPLAY = f"martfeast replay --select {LABELS}"
LONG_AGO = "2020-01-01 00:00:00"
UNNEEDED = f"out/published/marts/library.{VIEW}/20250101T000000Z-00000000.parquet"
SET_UP = (".gitignore", "feature_repo/feature_store.yaml", "feature_repo/features.py")
WRITTEN = ("feature_repo", "out", ".gitignore", "profiles.yml")


def registered(library: Library) -> Hashable:
    """The names of what the registry holds, as Feast reads it."""
    from feast import FeatureStore

    if not library.registry.exists():
        return ()
    store = FeatureStore(str(library.path / "feature_repo"))
    saved = store.registry.list_saved_datasets(store.project)
    names = [one.name for one in store.list_feature_views()]
    names += [one.name for one in store.list_feature_services()]
    return tuple(sorted([*names, *(one.name for one in saved)]))


def dataset(library: Library) -> Hashable:
    """The datasets, each verified, and what is registered."""
    found = find_datasets(library.path / f"out/datasets/{SERVICE}")
    for path, record in found:
        verify(path, record)
        assert (path / "card.html").read_text().rstrip().endswith("</html>")
    return tuple(record.saved_dataset for _, record in found), registered(library)


def replayed(library: Library) -> Hashable:
    """Whether the record is still that of years ago."""
    record = Replays.read(library.published / "replays.json").marts[f"model.library.{LABELS}"]
    return record.replayed_at == LONG_AGO


def materialized(library: Library) -> Hashable:
    registered(library)
    record = library.path / "feature_repo/data/materialized.json"
    return tuple(sorted(Materialized.read(record).views)) if record.exists() else ()


def home(library: Library) -> Hashable:
    return read_repos(library.registry)["library"], registered(library)


def set_up(library: Library) -> Hashable:
    """Which files of a set-up are there, each whole."""
    there = tuple(name for name in SET_UP if (library.path / name).exists())
    assert all((library.path / name).read_text().endswith("\n") for name in there)
    return there


def versions(library: Library) -> Hashable:
    """Whether the version that nobody needs is there, and in the note of bytes; all else whole."""
    assert library.martfeast("status", "--json", cwd=library.path).returncode == 0
    file = library.path / UNNEEDED
    return file.exists(), file.name in json.loads(file.with_name(SEEN).read_text())["files"]


def replay_long_ago(library: Library) -> None:
    path = library.published / "replays.json"
    old = {"replayed_at": LONG_AGO}
    marts = {name: one.model_copy(update=old) for name, one in Replays.read(path).marts.items()}
    Replays(marts=marts).write(path)


def apply(library: Library) -> None:
    library.apply()


def apply_in_part(library: Library) -> None:
    """Apply all but the feature service."""
    from feast import FeatureStore

    library.apply()
    FeatureStore(str(library.path / "feature_repo")).delete_feature_service(SERVICE)


def leave_a_version(library: Library) -> None:
    """A version that no release names any more, and a note of its bytes."""
    from martfeast.published.verified import damage, file_sha256

    shutil.copy(library.published / library.published_mart(VIEW)["path"], library.path / UNNEEDED)
    file = library.path / UNNEEDED
    assert damage(file, file.stat().st_size, file_sha256(file)) == ""


def move(library: Library) -> None:
    """Put a registry in place that was applied elsewhere, with the project as it is here."""
    library.apply()
    elsewhere = library.copy_to(library.path.with_name("elsewhere"))
    shutil.copytree(elsewhere.registry.parent, library.registry.parent, dirs_exist_ok=True)
    shutil.rmtree(elsewhere.path)


def take_down(library: Library) -> None:
    shutil.rmtree(library.path / "feature_repo")


SLOW = "replayforbid"  # and the same as of a full disk


@dataclass(frozen=True)
class Case:
    """A command of which writes are stopped.

    prepare: makes what it is run on. state: what it leaves, whole; an error if it is not.
    file: a part of the name of the file that is written when the disk is full.
    steps: whether it goes by steps, each whole, of which the next run does the rest.
    killed: before which writes it is killed, as a regular expression of their words.
    """

    command: str
    prepare: Callable[[Library], None]
    state: Callable[[Library], Hashable]
    file: str
    steps: bool = False
    killed: str = "rename|remove"


CASES = {
    "replay": Case(
        f"martfeast replay --select {LABELS}", replay_long_ago, replayed, "replays.json"
    ),
    "apply": Case("feast -c feature_repo apply", apply_in_part, registered, "registry.db"),
    "dataset": Case(f"martfeast dataset {SERVICE}", apply, dataset, "dataset.json", True, "rename"),
    "materialize": Case("martfeast materialize", apply, materialized, "materialized.json", True),
    "prune": Case("martfeast prune", leave_a_version, versions, SEEN, True, ""),
    "reroot": Case("martfeast reroot", move, home, "registry.db", True),
    "init": Case("martfeast init --yes", take_down, set_up, "features.py", True),
}


@pytest.fixture
def temporary(library: Library) -> Path:
    """The folder in which stopped commands make theirs for what need not stay."""
    folder = library.path.with_name("temporary")
    folder.mkdir()
    return folder


def stopped(library: Library, what: str, where: int | str, command: str) -> Result:
    return library.run("-m", "stopped", what, str(where), str(library.path), *command.split())


def names(library: Library) -> set[str]:
    """What is there, with one name for all that is written aside."""
    found = [one for one in library.path.rglob("*") if one.is_file()]
    parts = {str(one.relative_to(library.path)) for one in found}
    return {
        re.sub("[0-9a-f]{32}", "<hex>", name)
        for name in parts
        if not name.startswith(("target", "logs", "dbt_packages")) and "__pycache__" not in name
    }


def restore(library: Library, kept: Path) -> None:
    for name in WRITTEN:
        path = library.path / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if (kept / name).is_dir():
            shutil.copytree(kept / name, path, symlinks=True)
        elif (kept / name).exists():
            shutil.copy2(kept / name, path)


def age(folder: Path) -> None:
    """Let all that was written aside be of years ago."""
    for path in [*folder.rglob("*")]:
        if re.search(r"\.[0-9a-f]{32}|-[0-9a-f]{32}|martfeast-", str(path.relative_to(folder))):
            os.utime(path, (0, 0), follow_symlinks=False)


def prune(library: Library, temporary: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        pruned = library.martfeast("prune", cwd=library.path)
    assert pruned.returncode == 0, pruned.stderr


@pytest.mark.parametrize("name", [name for name in CASES if name != "replay"])
def test_a_kill_before_a_write_leaves_the_old_or_the_new_and_the_next_run_heals(
    library, tmp_path, name, temporary
):
    case = CASES[name]
    case.prepare(library)
    shutil.copytree(library.path, tmp_path / "kept", symlinks=True)
    old = case.state(library)
    whole = stopped(library, "count", "nowhere", case.command)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    writes = whole.stdout.split("writes\n")[1].splitlines()
    new = case.state(library)
    assert old != new
    prune(library, temporary)
    there = names(library)

    states: set[Hashable] = set()
    left_behind: set[str] = set()
    healed: set[Hashable] = set()
    for number, write in enumerate(writes, 1):
        if not re.search(case.killed, write):
            continue
        restore(library, tmp_path / "kept")
        killed = stopped(library, "kill", number, case.command)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        state, files = case.state(library), frozenset(names(library))
        assert case.steps or state in (old, new)
        states.add(state)
        if (state, files) in healed:
            continue
        healed.add((state, files))
        left_behind |= files - there
        again = stopped(library, "count", "nowhere", case.command)
        assert again.returncode == 0, again.stdout + again.stderr
        assert case.state(library) == new
        for folder in (library.path, temporary):
            age(folder)
        prune(library, temporary)
        assert names(library) == there
        assert not list(temporary.glob("martfeast-*"))
    assert old in states
    assert left_behind


def test_a_kill_before_and_after_the_record_of_a_replay_is_written(library, temporary):
    """A replay takes seconds, so that the second kill is of the run after the first one."""
    case = CASES["replay"]
    case.prepare(library)
    there = names(library)
    for write, is_old in (("os.rename", True), ("os.remove", False)):
        killed = stopped(library, "kill", f"{write} out/published/.replays.json.", case.command)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        assert case.state(library) == is_old
        assert "out/published/.replays.json.<hex>" in names(library)
        assert len(list(temporary.glob("martfeast-*"))) > 1 - is_old
    for folder in (library.path, temporary):
        age(folder)
    prune(library, temporary)
    assert names(library) == there
    assert not list(temporary.glob("martfeast-*"))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (name, what)
        for name in CASES
        for what in ("fill", "forbid")
        if name + what != "replayforbid"
    ],
)
def test_a_full_disk_and_a_read_only_folder_are_told_in_words(library, temporary, name, what):
    """A full disk takes a part of the file; the first write finds the folder read-only."""
    case = CASES[name]
    case.prepare(library)
    old, there = case.state(library), names(library)
    where = rf"/\.{re.escape(case.file)}\.[0-9a-f]{{32}}$" if what == "fill" else "1"
    refused = stopped(library, what, where, case.command)
    said = " ".join((refused.stdout.split("writes\n")[0] + refused.stderr).split())
    assert refused.returncode == 3, said
    assert "Traceback" not in said
    # Feast's own writer of registries is not told how much was written: ENOSPC is what we say.
    why = "File too large|No space left" if what == "fill" else "Read-only file system"
    assert re.search(why, said), said
    if what == "fill":
        assert re.search(rf"{library.path}/\S*(?<!\.){re.escape(case.file)}", said)
    assert re.search("(Make room or set permissions|Put that right)", said)
    if name != "prune":  # which removes first, and then notes it
        assert case.state(library) == old
    assert not list(temporary.iterdir())
    assert {one for one in names(library) - there if not one.endswith("lock")} == set()
