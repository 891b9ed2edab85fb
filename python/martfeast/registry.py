"""Feast's file registry, made safe: whole after a kill, nothing lost between two writers, one home.

It stands here, and not in a room, because its name is in users' feature_store.yaml.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import click
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import RegistryConfig, RepoConfig, load_repo_config
from pydantic import Field

from martfeast.causes import Cause
from martfeast.files import locked, replaced, unusable
from martfeast.records import Record, RecordError

# Feast's commands that change more than the registry, and some of it before they write the
# registry: they are refused when they first read it.
CHANGING = ("apply", "teardown", "materialize", "materialize-incremental")


class RegistryConflictError(click.ClickException):
    """Another process has written the registry since this one read it; nothing was written."""

    exit_code = Cause.INFRASTRUCTURE


class RegistryPlaceError(click.ClickException):
    """The registry belongs to another feature repo; nothing was changed.

    Feast's command prints it as a sentence, because it is one of click's exceptions.
    """

    exit_code = Cause.USAGE


class RegistryWriteError(click.ClickException):
    """The registry cannot be written, and is as it was. Feast's command prints it as a sentence."""

    exit_code = Cause.INFRASTRUCTURE


class FeatureRepos(Record):
    """The file ``<registry>.repos.json``: the feature repo of each Feast project in a registry.

    folders: the folder, absolute and without symlinks, by the project's name.
    """

    FORMAT: ClassVar[int] = 1

    folders: dict[str, Annotated[str, Field(pattern=r"^/[^\x00]*$")]]


def repos_path(registry_path: Path) -> Path:
    """Return the file beside a registry that says which feature repos it belongs to."""
    return registry_path.with_name(f"{registry_path.name}.repos.json")


def read_repos(registry_path: Path) -> dict[str, Path]:
    """Return the feature repo of each project in a registry, as far as noted.

    Raises:
        RegistryPlaceError: the file that says so cannot be used.

    """
    path = repos_path(registry_path)
    try:
        folders = FeatureRepos.read(path).folders
    except FileNotFoundError:
        return {}
    except RecordError as error:
        fix = error.fix(
            "If the project was not moved or copied, remove it: the next write notes it anew."
        )
        raise RegistryPlaceError(f"{path} cannot be used: {error}. {fix}") from None
    return {project: Path(folder) for project, folder in folders.items()}


def require_home(registry_path: Path, project: str, folder: Path) -> None:
    """Insist that a project of a registry belongs to a feature repo, or to none yet.

    Args:
        registry_path: the file of the registry, absolute.
        project: the Feast project.
        folder: the folder of the feature repo.

    Raises:
        RegistryPlaceError: it belongs to another one; the message names the command that moves it.

    """
    home = read_repos(registry_path).get(project)
    if home is not None and home.resolve() != folder.resolve():
        raise RegistryPlaceError(
            f"Project '{project}' in the registry {registry_path} belongs to {home}, and this is"
            f" {folder.resolve()}: the project was moved or copied. Nothing was changed. Run"
            f" `martfeast reroot --feature-repo {folder.resolve()}` in the dbt project here."
        )


def settings_file(folder: Path) -> Path:
    """Return the feature_store.yaml of a feature repo; within Feast's command, the one it uses."""
    return Path(_options().get("FS_YAML_FILE") or folder / "feature_store.yaml").resolve()


def _options() -> dict[str, Any]:
    """Return the options of Feast's command, as it names them; empty outside of it."""
    context = click.get_current_context(silent=True)
    return context.obj if context and isinstance(context.obj, dict) else {}


class SafeFileRegistryStore(FileRegistryStore):
    """Feast's file registry store, with three promises that Feast's own does not make.

    A write replaces the file in one rename, so that a kill leaves the old registry or the new one.
    A write on top of another process's changes is refused instead of undoing them.
    A project of the registry belongs to the feature repo that first wrote it: what a copy or a
    moved folder would change is refused, and Feast sees no tables of other online stores than the
    one in feature_store.yaml, because it drops those that it sees and no longer wants.

    Name it in feature_store.yaml::

        registry:
          path: data/registry.db
          registry_store_type: martfeast.registry.SafeFileRegistryStore
    """

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        super().__init__(registry_config, repo_path)
        self._repo_path = Path(repo_path)

    def get_registry_proto(self) -> RegistryProto:
        """Return the registry, with the tables of this repo's online store only.

        Raises:
            FileNotFoundError: there is none yet.
            RegistryPlaceError: it belongs elsewhere, and Feast's command would change something.

        """
        registry = self.read_whole()
        config = self._config
        if config is None:
            return registry
        context = click.get_current_context(silent=True)
        command = context.info_name if context else None
        if command in CHANGING:
            require_home(self._filepath, config.project, self._repo_path)
        if command == "teardown":
            self._require_alone(config.project)
        online = online_path(config)
        infra = registry.infra.infra_objects
        # Most tables are in one file, and Feast reads the registry for each view that it looks up.
        paths = {one.sqlite_table.path for one in infra if one.HasField("sqlite_table")}
        served = {path for path in paths if online is not None and _leads_to(path, online)}
        tables = []
        for one in infra:
            if one.HasField("sqlite_table"):
                if one.sqlite_table.path not in served:
                    continue
                # Feast drops the table when the same file has another name, as by a symlink.
                one.sqlite_table.path = online
            tables.append(one)
        del registry.infra.infra_objects[:]
        registry.infra.infra_objects.extend(tables)
        return registry

    def read_whole(self) -> RegistryProto:
        """Return the registry as it is in the file.

        Raises:
            FileNotFoundError: there is none yet.

        """
        registry: RegistryProto = super().get_registry_proto()  # type: ignore[no-untyped-call]
        return registry

    def teardown(self) -> None:
        """Remove the registry.

        Raises:
            RegistryPlaceError: it belongs elsewhere, or to others too.

        """
        if self._config is not None:
            require_home(self._filepath, self._config.project, self._repo_path)
            self._require_alone(self._config.project)
        super().teardown()  # type: ignore[no-untyped-call]
        repos_path(self._filepath).unlink(missing_ok=True)

    def reroot(self, registry_proto: RegistryProto) -> None:
        """Write a registry whose project belongs to this feature repo from now on."""
        with _in_words():
            self._replace(registry_proto)
            self._note_home(is_moved=True)

    def _write_registry(self, registry_proto: RegistryProto) -> None:
        if self._config is not None:
            require_home(self._filepath, self._config.project, self._repo_path)
        with _in_words():
            self._note_home()
            self._replace(registry_proto)

    def _replace(self, registry_proto: RegistryProto) -> None:
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        base = registry_proto.version_id
        # Another lock than that of `feast apply`, which is held for much longer than a write.
        with locked(self._write_lock):
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
                    # Feast does not look whether all was written: on a full disk it is not.
                    if new.stat().st_size != registry_proto.ByteSize():
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except BaseException:
                registry_proto.version_id = base
                raise

    def _note_home(self, is_moved: bool = False) -> None:
        """Note that this feature repo is the project's, unless one is noted already."""
        if self._config is None:
            return
        project, folder = self._config.project, self._repo_path.resolve()
        if not is_moved and project in read_repos(self._filepath):
            return
        with locked(self._write_lock):
            homes = {**read_repos(self._filepath), project: folder}
            folders = {name: str(homes[name]) for name in sorted(homes)}
            FeatureRepos(folders=folders).write(repos_path(self._filepath))

    def _require_alone(self, project: str) -> None:
        """Insist that no other feature repo uses the registry: Feast's teardown removes it all."""
        others = {
            name: home for name, home in read_repos(self._filepath).items() if name != project
        }
        if others:
            told = ", ".join(f"'{name}' of {home}" for name, home in others.items())
            raise RegistryPlaceError(
                f"`feast teardown` would remove from {self._filepath} the projects of others too:"
                f" {told}. Nothing was changed. Run `feast projects delete {project}` instead."
            )

    @property
    def _write_lock(self) -> Path:
        return Path(f"{self._filepath}.write-lock")

    @cached_property
    def _config(self) -> RepoConfig | None:
        """The settings that name this registry; None for a store that was made without a file."""
        yaml_file = settings_file(self._repo_path)
        if not yaml_file.exists():
            return None
        # As Feast's command was given it, which names the online store by it, symlinks and all.
        config = load_repo_config(_options().get("CHDIR") or self._repo_path, yaml_file)
        path = self._repo_path / str(config.registry.path)
        return config if path.resolve() == self._filepath.resolve() else None


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryWriteError(unusable(error)) from None


def online_path(config: RepoConfig) -> str | None:
    """Return the SQLite file that a feature repo serves from, as Feast writes it; else None."""
    path = getattr(config.online_store, "path", None)
    if getattr(config.online_store, "type", None) != "sqlite" or path is None:
        return None
    return str(path) if Path(path).is_absolute() else str(Path(config.repo_path or ".") / path)


def _leads_to(path: str, file: str) -> bool:
    """Tell whether a path leads to a file that is there."""
    return Path(file).exists() and Path(path).resolve() == Path(file).resolve()
