"""The registry under concurrent writers and kills: no object is lost."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
WRITERS = 12


def repo_with_registry(library, registry: Path, project: str) -> None:
    library.replace_in("feature_repo/feature_store.yaml", "project: library", f"project: {project}")
    library.replace_in(
        "feature_repo/feature_store.yaml", "path: data/registry.db", f"path: {registry}"
    )


def store_of(library):
    from feast import FeatureStore

    return FeatureStore(str(library.path / "feature_repo"))


def test_twelve_applies_at_once_lose_nothing(built_library, tmp_path):
    """Twelve projects that share one registry file, which Feast reads and writes as a whole."""
    registry = tmp_path / "shared/registry.db"
    copies = []
    for number in range(WRITERS):
        library = built_library.copy_to(tmp_path / f"project_{number}")
        repo_with_registry(library, registry, f"library_{number}")
        copies.append(library)
    applies = [library.start("feast", *library.in_feature_repo, "apply") for library in copies]
    done = [apply.wait() for apply in applies]
    errors = [apply.stderr for apply in done]
    assert [apply.returncode for apply in done] == [0] * WRITERS, errors
    waited = [error for error in errors if "another feast apply holds" in error]
    assert waited, "no apply had to wait, so nothing was tried"
    assert f"martfeast: another feast apply holds {registry}.lock (process " in waited[0]
    for library in copies:
        store = store_of(library)
        assert {view.name for view in store.list_feature_views()} == {
            "member_activity_daily",
            "title_availability",
        }
        assert [service.name for service in store.list_feature_services()] == ["overdue_prediction"]
        assert len([e for e in store.list_entities() if not e.name.startswith("__")]) == 3


def test_a_write_on_top_of_another_one_is_refused(tmp_path):
    from feast.protos.feast.core.Registry_pb2 import Registry
    from feast.repo_config import RegistryConfig
    from martfeast.registry import RegistryConflictError, SafeFileRegistryStore

    config = RegistryConfig(path=str(tmp_path / "data/registry.db"))
    stores = [SafeFileRegistryStore(config, tmp_path) for _ in range(2)]
    stores[0].update_registry_proto(Registry(registry_schema_version="1"))
    mine, theirs = (store.get_registry_proto() for store in stores)
    theirs.projects.add().spec.name = "theirs"
    stores[1].update_registry_proto(theirs)
    mine.projects.add().spec.name = "mine"
    with pytest.raises(RegistryConflictError, match="run the command again"):
        stores[0].update_registry_proto(mine)
    again = stores[0].get_registry_proto()
    assert [project.spec.name for project in again.projects] == ["theirs"]
    again.projects.add().spec.name = "mine"
    stores[0].update_registry_proto(again)
    stores[0].update_registry_proto(again)  # a writer may follow its own writes
    projects = stores[1].get_registry_proto().projects
    assert [project.spec.name for project in projects] == ["theirs", "mine"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "registry.db",
        "registry.db.write-lock",
    ]


def test_a_kill_during_apply_leaves_a_whole_registry(library):
    assert library.feast("apply").returncode == 0
    views = {view.name for view in store_of(library).list_feature_views()}
    for delay in range(50, 400, 25):
        apply = library.start("feast", *library.in_feature_repo, "apply")
        time.sleep(delay / 1000)
        apply.kill()
        assert {view.name for view in store_of(library).list_feature_views()} == views
    # The lock of a killed process holds nobody up.
    again = library.feast("apply")
    assert again.returncode == 0
    assert "waiting" not in again.stderr


def test_a_write_that_fails_leaves_the_registry_as_it_was(library):
    """A limit on file sizes stands for a full disk: the new file cannot be written."""
    assert library.feast("apply").returncode == 0
    before = library.registry.read_bytes()
    library.replace_in("models/marts/_marts__models.yml", "Copies on the shelf.", "Free copies.")
    library.dbt("build")
    command = f"ulimit -f 4; exec {BIN}/feast -c {library.path}/feature_repo apply"
    failed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert library.registry.read_bytes() == before
    assert library.feast("apply").returncode == 0
    assert library.registry.read_bytes() != before
