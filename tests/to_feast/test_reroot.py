"""A registry belongs to one place: what a copy or a moved project does, with real commands."""

import subprocess
from typing import Any

import pytest
from conftest import Library

FROM, UNTIL = "2026-02-01T00:00:00", "2026-03-10T00:00:00"
# What is served of both keys until then.
SERVED = [6.25, 1.5]
WRITING = (
    ["apply"],
    ["teardown"],
    ["materialize", FROM, UNTIL],
    ["materialize-incremental", UNTIL],
)


def served(library):
    """The waiting days that the online store gives for two keys."""
    from feast import FeatureStore

    keys = [{"branch_code": code, "title_id": 10} for code in ("north", "south")]
    found = FeatureStore(str(library.path / "feature_repo")).get_online_features(
        features=["title_availability:waiting_days"], entity_rows=keys
    )
    return found.to_dict()["waiting_days"]


def all_bytes(*folders):
    return {
        path: path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not {"logs", "target", "__pycache__"} & set(path.parts)
        if not path.name.endswith("lock")
    }


@pytest.fixture(scope="module")
def applied(built_library, tmp_path_factory):
    """A project that is applied, with a dataset, and served; tests copy it."""
    library = built_library.copy_to(tmp_path_factory.mktemp("original") / "project")
    assert library.feast("apply").returncode == 0
    result = library.martfeast("dataset", "overdue_prediction", cwd=library.path)
    assert result.returncode == 0, result.stderr
    assert library.feast("materialize", FROM, UNTIL).returncode == 0
    assert served(library) == SERVED
    return library


def copied(library, path):
    subprocess.run(["cp", "-a", str(library.path), str(path)], check=True)
    return Library(path)


def reroot(library, *arguments):
    return library.martfeast("reroot", *arguments, cwd=library.path)


def test_a_copy_changes_nothing_of_its_original(applied, tmp_path):
    before = all_bytes(applied.path)
    copy = copied(applied, tmp_path / "copy")
    own = all_bytes(copy.path)
    for command in WRITING:
        refused = copy.feast(*command)
        assert refused.returncode == 2, command
        assert "Traceback" not in refused.stdout + refused.stderr
        said = " ".join(refused.stderr.split())
        assert f"belongs to {applied.path}/feature_repo" in said
        assert f"martfeast reroot --feature-repo {copy.path}/feature_repo" in said
    refused = copy.martfeast("status", cwd=copy.path)
    assert refused.returncode == 2
    assert "[registry-elsewhere]" in refused.stderr
    assert all_bytes(copy.path) == own
    assert served(copy) == SERVED  # reading is no harm: a container may serve what it copied

    done = reroot(copy)
    assert done.returncode == 0, done.stderr
    assert f"from {applied.path} to {copy.path}" in done.stdout
    assert str(applied.path).encode() not in copy.registry.read_bytes()
    assert "nothing to do" in reroot(copy).stdout
    for command in (["apply"], WRITING[2], ["teardown"]):
        assert copy.feast(*command).returncode == 0
    assert all_bytes(applied.path) == before
    assert served(applied) == SERVED


def test_a_moved_project_goes_on_after_one_command(applied, tmp_path):
    gone = copied(applied, tmp_path / "gone")
    assert reroot(gone).returncode == 0
    moved = Library(gone.path.rename(tmp_path / "new place [1]"))
    refused = moved.feast("apply")
    assert refused.returncode == 2
    assert "belongs to" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert reroot(moved).returncode == 0
    assert moved.martfeast("status", cwd=moved.path).returncode == 0
    dataset = moved.martfeast("dataset", "overdue_prediction", cwd=moved.path)
    assert dataset.returncode == 0, dataset.stderr
    assert served(moved) == SERVED
    again = moved.feast("apply")
    assert again.returncode == 0
    assert str(gone.path) not in again.stdout
    assert "No changes to infrastructure" in again.stdout
    assert moved.feast(*WRITING[2]).returncode == 0
    assert served(moved) == SERVED
    from feast import FeatureStore

    store = FeatureStore(str(moved.path / "feature_repo"))
    for saved in store.registry.list_saved_datasets("library"):
        source: Any = saved.storage.to_data_source()
        assert source.path.startswith(str(moved.path))
    assert not gone.path.exists()


def test_files_that_are_missing_stop_a_reroot(applied, tmp_path):
    copy = copied(applied, tmp_path / "copy")
    version = copy.published / copy.published_mart("title_availability")["path"]
    version.unlink()
    before = all_bytes(copy.path)
    refused = reroot(copy)
    assert refused.returncode == 2
    assert "[file-missing]" in refused.stderr
    assert str(version) in " ".join(refused.stderr.split())
    assert all_bytes(copy.path) == before


def test_a_symlink_to_the_project_is_the_same_place(applied, tmp_path):
    copy = copied(applied, tmp_path / "copy")
    assert reroot(copy).returncode == 0
    (tmp_path / "link").symlink_to(copy.path)
    link = Library(tmp_path / "link")
    assert link.feast("apply").returncode == 0
    assert link.feast(*WRITING[2]).returncode == 0
    assert copy.feast("apply").returncode == 0
    assert served(copy) == SERVED


def test_what_lies_outside_is_not_shared_with_a_copy(built_library, tmp_path):
    """The registry and the online store outside: a copy neither changes them nor takes them."""
    library = built_library.copy_to(tmp_path / "project")
    yaml = "feature_repo/feature_store.yaml"
    shared = tmp_path / "shared"
    library.replace_in(yaml, "path: data/registry.db", f"path: {shared}/registry.db")
    library.replace_in(yaml, "path: data/online_store.db", f"path: {shared}/online.db")
    assert library.feast("apply").returncode == 0
    assert library.feast(*WRITING[2]).returncode == 0
    before = all_bytes(library.path, shared)
    copy = copied(library, tmp_path / "copy")
    for command in WRITING:
        assert copy.feast(*command).returncode == 2, command
    refused = reroot(copy)
    assert refused.stderr.count("[shared-with-original]") == 2
    copy.replace_in(yaml, f"path: {shared}/registry.db", "path: data/registry.db")
    copy.replace_in(yaml, f"path: {shared}/online.db", "path: data/online_store.db")
    assert copy.feast("apply").returncode == 0
    assert copy.feast(*WRITING[2]).returncode == 0
    assert all_bytes(library.path, shared) == before
    assert served(copy) == served(library) == SERVED

    # Without the original they are the moved project's own.
    moved = Library(library.path.rename(tmp_path / "moved"))
    assert moved.feast("apply").returncode == 2
    assert reroot(moved).returncode == 0
    assert moved.feast("apply").returncode == 0
    assert served(moved) == SERVED


def test_projects_that_share_a_registry_leave_each_others_tables(built_library, tmp_path):
    """Feast takes tables that begin with a project's name and `_` for its own."""
    libraries = []
    for name in ("library", "library_1"):
        library = built_library.copy_to(tmp_path / name)
        yaml = "feature_repo/feature_store.yaml"
        library.replace_in(yaml, "project: library", f"project: {name}")
        library.replace_in(yaml, "path: data/registry.db", f"path: {tmp_path}/registry.db")
        assert library.feast("apply").returncode == 0
        libraries.append(library)
    for library in libraries:
        assert library.feast(*WRITING[2]).returncode == 0
    for library in libraries:
        assert library.feast("apply").returncode == 0
    assert [served(library) for library in libraries] == [SERVED] * 2
    refused = libraries[0].feast("teardown")
    assert refused.returncode == 2
    assert "'library_1' of " in refused.stderr
    assert [served(library) for library in libraries] == [SERVED] * 2
