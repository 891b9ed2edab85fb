"""Feast feature repos: what their settings say, and what their registries hold."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.causes import cause_of
from martfeast.files import ASIDE, FOLDERS, leftovers, locked
from martfeast.gate.evidence import Registered
from martfeast.problems import DeclarationError, refusal

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.repo_config import RepoConfig


@dataclass(frozen=True)
class FeatureRepo:
    """A Feast feature repo: its folder, and its feature_store.yaml, both absolute."""

    path: Path
    yaml_file: Path

    @property
    def registry_path(self) -> Path | None:
        """The file of a local file registry, absolute; None for another kind of registry."""
        registry = self.config().registry
        if registry.registry_type != "file" or "://" in str(registry.path):
            return None
        return self.path / str(registry.path)

    @property
    def offline_store(self) -> dict[str, Any]:
        """The settings of its offline store."""
        settings = self.config().offline_store
        return dict(settings) if isinstance(settings, dict) else settings.model_dump()

    def read_registered(self) -> Registered:
        """Return what the registry holds; nothing if there is none yet.

        Raises:
            DeclarationError: feature_store.yaml cannot be used, or the registry belongs elsewhere.

        """
        try:
            return self._read_registered()
        except DeclarationError:
            raise
        except Exception as error:  # whatever Feast raises for settings that it cannot use
            reason = " ".join(str(error).split()).rstrip(".")
            raise refusal(
                "feature store",
                "feature-store-unusable",
                f"{self.yaml_file} cannot be used: {type(error).__name__}: {reason}.",
                "Correct it; `feast configuration` reads it too.",
                cause=cause_of(error),
            ) from error

    def _read_registered(self) -> Registered:
        path = self.registry_path
        if path is not None and not path.exists():  # opening the store would create it
            return Registered()
        store = self.store()
        services = {
            service.name: {
                projection.name: {field.name: str(field.dtype) for field in projection.features}
                for projection in service.feature_view_projections
            }
            for service in store.list_feature_services()
        }
        views = store.list_feature_views()
        keys = {
            view.name: {field.name: str(field.dtype) for field in view.entity_columns}
            for view in views
        }
        ends = {view.name: [end for _, end in view.materialization_intervals] for view in views}
        overwritten = {name: one[-1] for name, one in ends.items() if one and one[-1] < max(one)}
        return Registered(services, keys, overwritten)

    def registry_text(self) -> str:
        """Return all that the registry holds as one text, to look names up in."""
        path = self.registry_path
        if path is not None:
            return path.read_bytes().decode("latin-1") if path.exists() else ""
        return str(self.store().registry.proto())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep `feast apply` from the registry, and wait for one that has it."""
        path = self.registry_path
        if path is None or not path.exists():
            yield
            return
        with locked(Path(f"{path}.lock"), waiting_for="a feast apply holds the registry"):
            yield

    def leftovers(self) -> list[Path]:
        """Return what runs that were killed left here, and in the folders for what need not stay.

        Those of another account, in a folder for all, are not returned.
        """
        found = [*leftovers(self.path, ASIDE, 1)]
        if self.registry_path is not None:
            found += leftovers(self.registry_path.parent, ASIDE)
        for folder in (tempfile.gettempdir(), self.offline_store.get("spill_directory")):
            if folder is not None:
                spilled = leftovers(self.path / str(folder), FOLDERS)
                found += [one for one in spilled if one.stat().st_uid == os.geteuid()]
        return found

    def store(self) -> "FeatureStore":
        """Return the feature store. Importing Feast takes seconds, so it happens here.

        Raises:
            DeclarationError: its registry belongs to another feature repo.

        """
        from feast import FeatureStore

        from martfeast.registry import RegistryPlaceError, require_home

        registry_path = self.registry_path
        if registry_path is not None:
            try:
                require_home(registry_path, self.config().project, self.path)
            except RegistryPlaceError as error:
                message, _, fix = error.message.partition(" Nothing was changed. ")
                raise refusal("registry", "registry-elsewhere", message, fix) from None
        return FeatureStore(str(self.path), fs_yaml_file=self.yaml_file)

    def config(self) -> "RepoConfig":
        """Return Feast's settings of it."""
        from feast.repo_config import load_repo_config

        return load_repo_config(self.path, self.yaml_file)


def open_repo(path: Path) -> FeatureRepo:
    """Return the feature repo in a folder.

    Raises:
        DeclarationError: there is none.

    """
    path = path.resolve()
    if not (path / "feature_store.yaml").exists():
        why = f"{path} has no feature_store.yaml."
        fix = "Name the feature repo with --feature-repo."
        raise refusal("feature store", "feature-store-missing", why, fix)
    return FeatureRepo(path, path / "feature_store.yaml")


def repo_if_there(project: Path, named: Path | None) -> FeatureRepo | None:
    """Return the named feature repo, or else the one in a project's folder if it has one.

    Raises:
        DeclarationError: the named one is none.

    """
    path = named or project / "feature_repo"
    if named is None and not (path / "feature_store.yaml").exists():
        return None
    return open_repo(path)
