"""What has to be written into a dbt project so that it can expose marts."""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec

from martfeast.adopting.edits import Edit, read_text
from martfeast.adopting.profile import with_links
from martfeast.adopting.yaml_text import Entry, YamlTextError, added, load, with_value
from martfeast.from_dbt.artifacts import DEFAULT_PUBLISHED_PATH
from martfeast.from_dbt.dbt_project import DbtProject, ProjectLike, as_dbt_project
from martfeast.problems import DeclarationError, refusal
from martfeast.version import DBT_PACKAGE, VERSION, package_version

PACKAGE = Path(__file__).resolve().parents[1] / "dbt_package"
OFFLINE_STORE = "martfeast.offline_store.DuckDBAsofOfflineStore"
REGISTRY_STORE = "martfeast.registry.SafeFileRegistryStore"
EXPOSE = "martfeast.expose(globals(), dbt_project=Path(__file__).parent.parent)"
FEATURE_STORE_YAML = f"""\
project: {{name}}
provider: local
registry:
  path: data/registry.db
  registry_store_type: {REGISTRY_STORE}
offline_store:
  type: {OFFLINE_STORE}
online_store:
  type: sqlite
  path: data/online_store.db
entity_key_serialization_version: 3
"""
FEATURES_PY = f'''\
"""Every Feast object of this project, generated from its dbt marts."""

from pathlib import Path

import martfeast

{EXPOSE}
'''
EXAMPLE = "feature_repo/mart.yml.example"  # a name that neither dbt nor Feast reads
_PACKAGE_FILES = ("packages.yml", "dependencies.yml")
_SKIPPED = {"dbt_packages", "node_modules", "site-packages", "target"}


@dataclass
class Plan:
    """What to write into a dbt project, and what its owner has to decide.

    project_dir: its folder, absolute. edits: the files to write; none if all is there.
    notes: what is there already in another form, with what it would have to be.
    """

    project_dir: Path
    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_setup(project: ProjectLike, example: str | None = None) -> Plan:
    """Say what to write into a dbt project; nothing is written here.

    Args:
        project: the dbt project.
        example: YAML of a mart, to be written beside the feature repo's own files.

    Raises:
        DeclarationError: there is no dbt project here, or one of its files cannot be read or added
            to.

    """
    return _Planner(as_dbt_project(project)).plan(example)


class _Planner:
    def __init__(self, dbt_project: DbtProject) -> None:
        self.dbt_project = dbt_project
        self.project_dir = project_dir = dbt_project.folder.resolve()
        self.done = Plan(project_dir)
        text = read_text(project_dir, "dbt_project.yml")
        if text is None:
            raise _no_project(project_dir)
        project = self._load("dbt_project.yml", text)
        if not isinstance(project, dict) or not isinstance(project.get("name"), str):
            raise self._refused("dbt_project.yml", "it gives the project no name")
        self.project_text, self.project = text, project

    def plan(self, example: str | None) -> Plan:
        self._install_package()
        self._set_variables()
        self._link_files()
        self._make_feature_repo()
        if example and read_text(self.project_dir, EXAMPLE) is None:
            self._edit(EXAMPLE, None, example)
        self._ignore_what_is_generated()
        return self.done

    def _install_package(self) -> None:
        name, text, listed = self._packages()
        path = self._package_path()
        for item in listed:
            local = item.get("local") if isinstance(item, dict) else None
            if not isinstance(local, str) or "{{" in local:
                if DBT_PACKAGE in str(item).lower():  # from git, a hub, or where a variable says
                    return
            elif self._is_present_package(local):
                return
            elif self._was_package(local):
                self._edit(name, text, with_value(text or "", local, path))
                return
        self._add(name, text, ("packages",), [{"local": path}])

    def _packages(self) -> tuple[str, str | None, list[Any]]:
        """Return the file that lists the project's packages, its text, and the list.

        dbt takes packages from one of two files, and refuses a project that has them in both.
        """
        texts = {name: read_text(self.project_dir, name) for name in _PACKAGE_FILES}
        found = {name: self._load(name, text or "") for name, text in texts.items()}
        for name, data in found.items():
            if data is not None and not isinstance(data, dict):
                raise self._refused(name, "it is not a mapping")
        lists = [name for name, data in found.items() if data and "packages" in data]
        there = [name for name, text in texts.items() if text is not None]
        name = [*lists, *there, _PACKAGE_FILES[0]][0]
        listed = (found[name] or {}).get("packages") or []
        if not isinstance(listed, list):
            raise self._refused(name, "packages is not a list")
        return name, texts[name], listed

    def _package_path(self) -> str:
        """Return the dbt package's path: relative if it is in the same repository, as a .venv is.

        Such a path is the same for everyone who has the repository.
        """
        folders = [self.project_dir, *self.project_dir.parents]
        top = next((one for one in folders if (one / ".git").exists()), self.project_dir)
        if PACKAGE.is_relative_to(top):
            return os.path.relpath(PACKAGE, self.project_dir)
        return str(PACKAGE)

    def _is_present_package(self, local: str) -> bool:
        file = self.project_dir / local / "dbt_project.yml"
        return _project_name(file) == DBT_PACKAGE and package_version(file) == VERSION

    def _was_package(self, local: str) -> bool:
        """Tell whether a path is of another martfeast, or of an environment that is gone."""
        file = self.project_dir / local / "dbt_project.yml"
        if file.exists():
            return _project_name(file) == DBT_PACKAGE
        return local.endswith(f"{DBT_PACKAGE}/{PACKAGE.name}")

    def _set_variables(self) -> None:
        variables = self.project.get("vars")
        if isinstance(variables, dict) and DBT_PACKAGE in variables:
            return
        setting = {DBT_PACKAGE: {"published_path": DEFAULT_PUBLISHED_PATH}}
        self._add("dbt_project.yml", self.project_text, ("vars",), setting)

    def _link_files(self) -> None:
        settings = (self.project.get("vars") or {}).get(DBT_PACKAGE) or {}
        target = settings.get("target") if isinstance(settings, dict) else None
        found = with_links(self.dbt_project, self.project.get("profile"), target)
        if isinstance(found, Edit):
            self.done.edits.append(found)
        elif found is not None:
            self.done.notes.append(found)

    def _make_feature_repo(self) -> None:
        repo = "feature_repo"
        settings = read_text(self.project_dir, f"{repo}/feature_store.yaml")
        if settings is None:
            name = str(self.project["name"]).lstrip("_")  # which Feast allows no name to begin with
            self._edit(f"{repo}/feature_store.yaml", None, FEATURE_STORE_YAML.format(name=name))
        else:
            self._check_feature_store(settings)
        features = read_text(self.project_dir, f"{repo}/features.py")
        if features is None and not any(map(_exposes, (self.project_dir / repo).rglob("*.py"))):
            self._edit(f"{repo}/features.py", None, FEATURES_PY)
        elif features is not None and "martfeast.expose" not in features:
            self.done.notes.append(
                f"{repo}/features.py is there and stays as it is. Add these lines where Feast"
                f" objects are to come from marts:\n  import martfeast\n  {EXPOSE}"
            )

    def _check_feature_store(self, text: str) -> None:
        """Note where a feature store that is there is another than martfeast's."""
        data = self._load("feature_repo/feature_store.yaml", text)
        settings = data if isinstance(data, dict) else {}
        for section, key, wanted, why in (
            ("offline_store", "type", OFFLINE_STORE, "joins in seconds, and replays check it"),
            ("registry", "registry_store_type", REGISTRY_STORE, "is whole after a kill"),
        ):
            value = settings.get(section)
            is_there = value.get(key) if isinstance(value, dict) else value
            if is_there != wanted:
                self.done.notes.append(
                    f"feature_repo/feature_store.yaml is there and stays as it is. Consider"
                    f" {section}: {{{key}: {wanted}}}, which {why}; see docs/training_sets.md."
                )

    def _ignore_what_is_generated(self) -> None:
        settings = (self.project.get("vars") or {}).get(DBT_PACKAGE)
        settings = settings if isinstance(settings, dict) else {}
        published = settings.get("published_path") or DEFAULT_PUBLISHED_PATH
        by_target = published.values() if isinstance(published, dict) else [published]
        wanted = [PurePosixPath("feature_repo/data")]
        for path in map(PurePosixPath, map(str, by_target)):
            datasets = settings.get("datasets_path") or path.parent / "datasets"
            wanted += [path, PurePosixPath(str(datasets))]
        text = read_text(self.project_dir, ".gitignore")
        newline = "\r\n" if "\r\n" in (text or "") else "\n"
        ignored = pathspec.PathSpec.from_lines("gitwildmatch", (text or "").splitlines())
        new = [
            f"/{path}/{newline}"
            for path in dict.fromkeys(wanted)
            if not path.is_absolute()
            and ".." not in path.parts
            and not ignored.match_file(path / "any")
        ]
        if new:
            start = text or ""
            start += newline if start and not start.endswith("\n") else ""
            self._edit(".gitignore", text, start + "".join(new))

    def _add(self, name: str, text: str | None, way: tuple[str, ...], entry: Entry) -> None:
        try:
            after = added(text or "", way, entry)
        except YamlTextError as error:
            wanted = ".".join([*way, *(entry if isinstance(entry, dict) else ["-"])])
            raise self._refused(name, f"{error}; add {wanted} by hand: {entry}") from None
        self._edit(name, text, after)

    def _edit(self, name: str, before: str | None, after: str) -> None:
        self.done.edits.append(Edit(self.project_dir, name, before, after))

    def _load(self, name: str, text: str) -> Any:
        try:
            return load(text)
        except YamlTextError as error:
            raise self._refused(name, f"it is not YAML: {error}") from None

    def _refused(self, name: str, why: str) -> DeclarationError:
        message = f"{self.project_dir / name} cannot be added to: {why}."
        fix = "Correct it, then run `martfeast init` again."
        return refusal("dbt project", "file-unusable", message, fix, name)


def _project_name(file: Path) -> object:
    try:
        project = load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return project.get("name") if isinstance(project, dict) else None


def _exposes(file: Path) -> bool:
    try:
        return "martfeast.expose" in file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _no_project(folder: Path) -> DeclarationError:
    """Return the refusal of a folder without dbt_project.yml; it names projects below it."""
    near = [*folder.glob("*/dbt_project.yml"), *folder.glob("*/*/dbt_project.yml")]
    found = [
        str(one.parent.relative_to(folder))
        for one in sorted(near)
        if not _SKIPPED & set(one.relative_to(folder).parts)
    ]
    fix = "Name a dbt project's folder with --project-dir."
    if found:
        fix = f"There is one in {', '.join(found[:3])}: name it with --project-dir."
    message = f"{folder / 'dbt_project.yml'} does not exist."
    return refusal("dbt project", "project-missing", message, fix)
