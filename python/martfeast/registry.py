"""Feast's file registry, made safe: whole after a kill, and nothing lost between two writers.

It stands here, and not in a room, because its name is in users' feature_store.yaml.
"""

from pathlib import Path

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto

from martfeast.files import locked, replaced


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
            try:
                with replaced(self._filepath) as new:
                    store = FileRegistryStore.__new__(FileRegistryStore)
                    store._filepath = new
                    store._write_registry(registry_proto)
            except BaseException:
                registry_proto.version_id = base
                raise
