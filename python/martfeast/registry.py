"""Feast's file registry, made safe: whole after a kill, and nothing lost between two writers."""

import fcntl
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast import FeatureStore
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import load_repo_config

from martfeast.gate.judge import Registered
from martfeast.problems import refusal


class RegistryConflictError(Exception):
    """Another process has written the registry since this one read it; nothing was written."""


class SafeFileRegistryStore(FileRegistryStore):
    """Feast's file registry store, with two promises that Feast's own does not make.

    A write replaces the file in one rename, so that a kill leaves the old registry or the new one.
    A write on top of another process's changes is refused instead of undoing them.

    Name it in feature_store.yaml::

        registry:
          path: data/registry.db
          registry_store_type: martfeast.registry.SafeFileRegistryStore
    """

    def _write_registry(self, registry_proto: RegistryProto) -> None:
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        base = registry_proto.version_id
        # Another lock than that of `feast apply`, which is held for much longer than a write.
        with locked(Path(f"{self._filepath}.write-lock")):
            if self._filepath.exists():
                current = RegistryProto.FromString(self._filepath.read_bytes()).version_id
                if current != base:
                    raise RegistryConflictError(
                        f"{self._filepath} was changed by another process since this one read it."
                        " Nothing was written; run the command again."
                    )
            new = self._filepath.with_name(f"{self._filepath.name}.{os.getpid()}.new")
            store = FileRegistryStore.__new__(FileRegistryStore)
            store._filepath = new
            try:
                store._write_registry(registry_proto)
                new.replace(self._filepath)
            except BaseException:
                registry_proto.version_id = base
                new.unlink(missing_ok=True)
                raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the system releases it even after a kill."""
    lock = acquire_lock(path)
    try:
        yield
    finally:
        os.close(lock)


def acquire_lock(path: Path, waiting_for: str | None = None) -> int:
    """Lock a file until the returned descriptor is closed, at the latest when the process ends.

    Args:
        path: the lock file; made if it is missing, never removed.
        waiting_for: what to say on stderr if another process has the lock.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting_for:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            print(f"martfeast: {waiting_for} (process {holder}): waiting", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def wait_for_publishing(published_path: Path) -> None:
    """Wait while a dbt run publishes to a folder, saying so on stderr.

    A publishing run keeps ``publishing.duckdb`` attached, and DuckDB holds a POSIX lock on it.
    """
    try:
        file = os.open(published_path / "publishing.duckdb", os.O_RDWR)
    except OSError:
        return
    # struct flock on Linux: type, whence, start, length, pid
    layout = "hhqqi4x"
    said = False
    try:
        while True:
            asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
            if kind == fcntl.F_UNLCK:
                return
            if not said:
                said = True
                print(
                    f"martfeast: dbt (process {process}) is publishing to {published_path}:"
                    " waiting",
                    file=sys.stderr,
                )
            time.sleep(0.1)
    finally:
        os.close(file)


@dataclass(frozen=True)
class FeatureRepo:
    """A Feast feature repo: its folder, and its feature_store.yaml, both absolute."""

    path: Path
    yaml_file: Path

    @property
    def registry_path(self) -> Path | None:
        """The file of a local file registry, absolute; None for another kind of registry."""
        registry = load_repo_config(self.path, self.yaml_file).registry
        if registry.registry_type != "file" or "://" in str(registry.path):
            return None
        return self.path / str(registry.path)

    @property
    def offline_store(self) -> dict[str, Any]:
        """The settings of its offline store."""
        settings = load_repo_config(self.path, self.yaml_file).offline_store
        return dict(settings) if isinstance(settings, dict) else settings.model_dump()

    def read_registered(self) -> Registered:
        """Return what the registry holds; nothing if there is none yet.

        Raises:
            DeclarationError: feature_store.yaml cannot be used.

        """
        try:
            return self._read_registered()
        except Exception as error:  # whatever Feast raises for settings that it cannot use
            reason = " ".join(str(error).split()).rstrip(".")
            raise refusal(
                "feature store",
                "feature-store-unusable",
                f"{self.yaml_file} cannot be used: {type(error).__name__}: {reason}.",
                "Correct it; `feast configuration` reads it too.",
            ) from error

    def _read_registered(self) -> Registered:
        path = self.registry_path
        if path is not None and not path.exists():  # opening the store would create it
            return Registered()
        store = FeatureStore(str(self.path), fs_yaml_file=self.yaml_file)
        services = {
            service.name: {
                projection.name: {field.name: str(field.dtype) for field in projection.features}
                for projection in service.feature_view_projections
            }
            for service in store.list_feature_services()
        }
        keys = {
            view.name: {field.name: str(field.dtype) for field in view.entity_columns}
            for view in store.list_feature_views()
        }
        return Registered(services, keys)

    def registry_text(self) -> str:
        """Return all that the registry holds as one text, to look names up in."""
        path = self.registry_path
        if path is not None:
            return path.read_bytes().decode("latin-1") if path.exists() else ""
        return str(FeatureStore(str(self.path), fs_yaml_file=self.yaml_file).registry.proto())
