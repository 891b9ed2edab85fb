"""Makes a registry that was moved or copied with its project belong to where it is now."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.problems import DeclarationError, Problem, refusal

if TYPE_CHECKING:
    from martfeast.registry import SafeFileRegistryStore
    from martfeast.to_feast.repository import FeatureRepo


@dataclass(frozen=True)
class Rerooted:
    """What was done: the folder that paths began with, the one that they begin with, how many.

    old: None if the registry belonged here already. missing: files that saved datasets name and
    that are not here.
    """

    old: Path | None
    new: Path
    path_count: int
    missing: list[Path]


def reroot(project_dir: Path, repo: "FeatureRepo") -> Rerooted:
    """Rewrite the paths in a registry to where its project is now, which it belongs to then.

    Args:
        project_dir: the dbt project, in its new place.
        repo: the feature repo, in its new place.

    Returns:
        What was done. Doing it again does nothing.

    Raises:
        DeclarationError: files are missing here, the original is still there and would be shared,
            or there is no such registry; nothing was changed.

    """
    from martfeast.registry import RegistryPlaceError, SafeFileRegistryStore, read_repos

    config, path = repo.config(), repo.registry_path
    store_type = config.registry.registry_store_type
    if path is None or not path.exists() or not str(store_type).startswith("martfeast."):
        message = f"{repo.yaml_file} names no file of SafeFileRegistryStore that is there."
        raise refusal("registry", "registry-missing", message, "Run `feast apply`: it writes it.")
    with repo.locked():
        try:
            home = read_repos(path).get(config.project)
        except RegistryPlaceError as error:
            raise refusal("registry", "registry-elsewhere", error.message, "") from None
        if home is None or home.resolve() == repo.path.resolve():
            return Rerooted(None, repo.path, 0, [])
        old, new = _roots(home, project_dir.resolve(), repo.path.resolve())
        _require_not_shared(home, new, repo)
        return _rewrite(SafeFileRegistryStore(config.registry, repo.path), config.project, old, new)


def _roots(home: Path, project_dir: Path, repo_path: Path) -> tuple[Path, Path]:
    """Return what the project's folder was, and is; the feature repo's, if it was moved alone."""
    if repo_path.is_relative_to(project_dir):
        parts = repo_path.relative_to(project_dir).parts
        if home.parts[len(home.parts) - len(parts) :] == parts:
            return Path(*home.parts[: len(home.parts) - len(parts)]), project_dir
    return home, repo_path


def _require_not_shared(home: Path, root: Path, repo: "FeatureRepo") -> None:
    """Insist that a copy, whose original is still there, shares no file with it."""
    from martfeast.registry import online_path

    if not (home / "feature_store.yaml").exists():
        return
    places = {"registry": repo.registry_path, "online_store": online_path(repo.config())}
    shared = [
        Problem(
            f"{key}.path",
            "shared-with-original",
            f"{place} lies outside {root}, and {home} is still there and may use it too.",
            f"Give this copy another path, or another project name, in {repo.yaml_file}.",
        )
        for key, place in places.items()
        if place is not None and not Path(place).resolve().is_relative_to(root)
    ]
    if shared:
        raise DeclarationError(shared)


def _rewrite(store: "SafeFileRegistryStore", project: str, old: Path, new: Path) -> Rerooted:
    registry = store.read_whole()
    moved: list[tuple[str, Path]] = []
    for field, value in registry.ListFields():
        if field.message_type is None:
            continue
        change = partial(_moved, old, new, field.name, moved)
        for one in value if field.is_repeated else [value]:
            if getattr(getattr(one, "spec", one), "project", project) == project:
                _rewrite_texts(one, change)
    for record in registry.feature_view_version_history.records:
        if record.project_id == project:
            view = _view_class(record.feature_view_type).FromString(record.feature_view_proto)
            _rewrite_texts(view, partial(_moved, old, new, "history", moved))
            record.feature_view_proto = view.SerializeToString()
    tables = [
        one
        for one in registry.infra.infra_objects
        # Without its file a table is to be created, which Feast does if it knows of none.
        if not one.HasField("sqlite_table") or Path(one.sqlite_table.path).exists()
    ]
    del registry.infra.infra_objects[:]
    registry.infra.infra_objects.extend(tables)
    missing = {(kind, path) for kind, path in moved if not path.exists()}
    unread = {path for kind, path in missing if kind in ("data_sources", "feature_views")}
    problems = [
        Problem(
            path.name,
            "file-missing",
            f"The registry reads it, and there is no {path}.",
            f"Copy it from {old}, or remove the registry and run `dbt build` and `feast apply`.",
        )
        for path in sorted(unread)
    ]
    if problems:
        raise DeclarationError(problems)
    store.reroot(registry)
    datasets = sorted(path for kind, path in missing if kind == "saved_datasets")
    return Rerooted(old, new, len(moved), datasets)


def _view_class(kind: str) -> Any:
    """Return the protobuf class of a kind of view, by Feast's name of the kind."""
    name = "".join(part.capitalize() for part in kind.split("_"))
    return getattr(import_module(f"feast.protos.feast.core.{name}_pb2"), name)


def _moved(old: Path, new: Path, kind: str, moved: list[tuple[str, Path]], text: str) -> str:
    """Return a text as it is, or a path below the old folder as it is below the new one."""
    scheme = "file://" if text.startswith("file://") else ""
    path = text.removeprefix(scheme)
    if path != str(old) and not path.startswith(f"{old}/"):
        return text
    there = new / path[len(str(old)) + 1 :]
    moved.append((kind, there))
    return f"{scheme}{there}"


def _rewrite_texts(message: Any, change: Callable[[str], str]) -> None:
    """Change every text in a protobuf message, at any depth."""
    for field, value in message.ListFields():
        of_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if of_map:
            entry = field.message_type.fields_by_name["value"]
            for key in list(value):
                if entry.message_type is not None:
                    _rewrite_texts(value[key], change)
                elif isinstance(value[key], str):
                    value[key] = change(value[key])
        elif field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                _rewrite_texts(one, change)
        elif isinstance(value, str):
            setattr(message, field.name, change(value))
        elif field.is_repeated and value and isinstance(value[0], str):
            value[:] = [change(text) for text in value]
