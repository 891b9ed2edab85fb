"""Reads other projects' marts: sources whose ``meta.feast`` names a folder of published marts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from martfeast.declaration.declared import Mart
from martfeast.declaration.keys import FEAST, read_keys
from martfeast.declaration.marts import is_shared, read_mart_of
from martfeast.from_dbt.artifacts import Artifacts, local_folder
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Group, Macro, Model, Source, Test, feast_meta
from martfeast.places import Place
from martfeast.problems import DeclarationError, ProblemLog, did_you_mean
from martfeast.published.release import Release, Terms, Verdict, release_files
from martfeast.records import RecordError
from martfeast.version import VERSION


@dataclass(frozen=True)
class SharedMart:
    """Another project's mart, as its release has it, and the source that stands for it here.

    source: of this project. published_path: the folder that the mart is published in, absolute.
    release: the one that holds there; verdict and terms are of it. graph: the other project's, as
    far as its release tells of it: the mart, its tests and its group. mart: what is declared there.
    """

    source: Source
    published_path: Path
    release: Release
    verdict: Verdict
    terms: Terms
    graph: Graph
    mart: Mart

    @property
    def project(self) -> str:
        """The name of the project that owns the mart."""
        return self.mart.unique_id.split(".")[1]

    @property
    def owner(self) -> str:
        """Who answers for it, in words."""
        return self.mart.owner or f"the owner of project {self.project}"

    def asked_of_owner(self, fix: str) -> str:
        """Return an advice that only the owner of the mart can follow."""
        return f"It is for {self.owner} to do: {fix}"


def read_shared(artifacts: Artifacts, log: ProblemLog) -> tuple[list[SharedMart], set[str]]:
    """Return the marts of other projects that sources stand for, and the names of those refused.

    Args:
        artifacts: the dbt project.
        log: where goes what is wrong with a source, and why a mart cannot be had.

    """
    found, refused = [], set()
    releases: dict[Path, Release | None] = {}
    sources = artifacts.graph.sources
    for source in sorted(sources.values(), key=lambda source: source.unique_id):
        if is_shared(source):
            shared = _Reader(artifacts, source, releases, log).read()
            if shared is None:
                refused.add(source.name)
            else:
                found.append(shared)
    return found, refused


class _Reader:
    def __init__(
        self,
        artifacts: Artifacts,
        source: Source,
        releases: dict[Path, Release | None],
        log: ProblemLog,
    ) -> None:
        self.artifacts = artifacts
        self.source = source
        self.releases = releases
        self.log = log
        self.place = artifacts.place(source)

    def read(self) -> SharedMart | None:
        place = self.place.at(*FEAST)
        _, value = feast_meta(self.source)
        keys = read_keys(value, {"published_path": str}, place, self.source.alias, self.log)
        if "published_path" not in keys:
            return None
        try:
            folder = local_folder(self.artifacts.project_dir, keys["published_path"]).resolve()
        except DeclarationError as error:
            self._add("not-a-folder", error.problems[0].message, error.problems[0].fix)
            return None
        release = self._release(folder)
        verdict = self._verdict(folder, release) if release is not None else None
        if release is None or verdict is None or not self._is_allowed(release, verdict):
            return None
        assert verdict.sharing is not None  # else it is not allowed
        try:
            graph = _graph_of(release, verdict)
        except (ValidationError, LookupError, TypeError) as error:
            why = " ".join(str(error).split())
            self._add(
                "shared-unreadable",
                f"{folder} declares '{self._called}' otherwise than this martfeast reads it: {why}",
                f"Have it published again with martfeast {VERSION}: `dbt deps`, `dbt build`.",
            )
            return None
        told = ProblemLog()
        mart = read_mart_of(
            graph, verdict.unique_id, verdict.version, self.place, self.source.name, told
        )
        found = SharedMart(self.source, folder, release, verdict, verdict.sharing, graph, mart)
        for one in told.problems:
            self._add(one.rule, one.message, found.asked_of_owner(one.fix))
        self._check_event_time(graph.models[verdict.unique_id])
        return found

    @property
    def _called(self) -> str:
        """What the mart is called where it is published."""
        return self.source.identifier

    def _add(self, rule: str, message: str, fix: str, place: Place | None = None) -> None:
        self.log.add(place or self.place, self.source.alias, rule, message, fix)

    def _release(self, folder: Path) -> Release | None:
        """Return the release that holds in a folder; log why it cannot be used, once."""
        if folder not in self.releases:
            self.releases[folder] = None
            path = folder / "current.json"
            again = "Have its owner run `dbt build`: it writes the file anew"
            try:
                self.releases[folder] = Release.read(path)
            except FileNotFoundError:
                fix = f"Correct published_path, which is relative to dbt_project.yml. {again}."
                self._add("shared-release-missing", f"{path} does not exist.", fix)
            except RecordError as error:
                fix = error.fix(f"{again}, with martfeast {VERSION}.")
                self._add("shared-release-unreadable", f"{path} cannot be used: {error}.", fix)
        return self.releases[folder]

    def _verdict(self, folder: Path, release: Release) -> Verdict | None:
        """Return what a release says of the mart; log that it is not there."""
        by_name = {one.mart: one for one in release.marts}
        if self._called in by_name:
            return by_name[self._called]
        last = _last_release_with(folder, self._called)
        until = f" any more; release {last} was the last with it" if last else ""
        public = [n for n, one in by_name.items() if one.sharing and one.sharing.access == "public"]
        # The versions of a model are called like it, with their numbers.
        versions = [name for name in public if name.rpartition("_v")[0] == self._called]
        fix = did_you_mean(self._called, public, f"Public are: {', '.join(public) or 'none'}.")
        if versions:
            fix = f"It has versions: take {' or '.join(versions)}."
        self._add(
            "shared-mart-gone",
            f"{folder} has no mart '{self._called}'{until} (release {release.number}).",
            fix if not last or versions else f"{fix} Or ask its owner to publish it again.",
        )
        return None

    def _is_allowed(self, release: Release, verdict: Verdict) -> bool:
        """Tell whether the mart may be used here; log why not."""
        terms = verdict.sharing
        name = verdict.mart
        if terms is None:
            self._add(
                "shared-terms-missing",
                f"Release {release.number} does not say who may use '{name}': an earlier martfeast"
                " wrote it.",
                f"Have it published again with martfeast {VERSION}: `dbt deps`, `dbt build`.",
            )
        elif terms.access != "public":
            owner = f"{_owner(terms) or 'its owner'} (group {terms.group or 'none'})"
            self._add(
                "shared-not-public",
                f"'{name}' is {terms.access} in project {verdict.unique_id.split('.')[1]}: its"
                " owner has not agreed that others build on it.",
                f"Ask {owner} to set access: public.",
            )
        elif verdict.declared is None:
            self._add(
                "shared-terms-missing",
                f"Release {release.number} does not say what '{name}' declares.",
                f"Have it published again with martfeast {VERSION}: `dbt deps`, `dbt build`.",
            )
        else:
            return True
        return False

    def _check_event_time(self, model: Model) -> None:
        """Insist that models here take rows for known when the mart says that they were."""
        here, there = self.source.config.event_time, model.config.event_time
        models = self.artifacts.graph.models.values()
        is_read = any(self.source.unique_id in one.depends_on.nodes for one in models)
        if there and here != there and (is_read or here):
            self._add(
                "shared-event-time",
                f"event_time is {here or 'not set'}, and its owner says that its rows were known at"
                f" {there}.",
                f"Set event_time: {there} under config of the table.",
                self.place.at("config"),
            )


def _owner(terms: Terms) -> str:
    group = {"name": "", "package_name": "", "original_file_path": "", "owner": terms.owner}
    return str(Group.model_validate(group).owner or "")


def _last_release_with(folder: Path, name: str) -> int:
    """Return the number of the newest release with a mart; 0 if none that can be read has it."""
    for file in reversed(release_files(folder)):
        try:
            release = Release.read(file, folder)
        except (FileNotFoundError, RecordError):
            continue
        if any(one.mart == name for one in release.marts):
            return release.number
    return 0


def _graph_of(release: Release, verdict: Verdict) -> Graph:
    """Return the graph of another project, as far as its release tells of one mart."""
    assert verdict.declared is not None and verdict.sharing is not None
    terms, unique_id = verdict.sharing, verdict.unique_id
    package = unique_id.split(".")[1]
    code = {"checksum": {"checksum": None}}
    node = Model.model_validate({**verdict.declared.node, **code, **_sharing_keys(terms)})
    where = {"package_name": package, "original_file_path": ""}
    tests = [
        Test.model_validate(
            {
                **one,
                **code,
                **where,
                "resource_type": "test",
                "attached_node": unique_id,
                "depends_on": {"nodes": [unique_id], "macros": one["macros"]},
            }
        )
        for one in verdict.declared.tests
    ]
    macros = [_macro(name) for test in tests for name in test.depends_on.macros]
    name = terms.group or ""
    group = Group.model_validate({**where, "name": name, "owner": terms.owner})
    return Graph(
        project_name=package,
        adapter_type=release.engine,
        generated_at=datetime.now(UTC),
        models={unique_id: node},
        tests={test.unique_id: test for test in tests},
        unit_tests={},
        sources={},
        exposures={},
        macros={macro.unique_id: macro for macro in macros},
        groups={f"group.{package}.{name}": group},
        disabled=(),
    )


def _sharing_keys(terms: Terms) -> dict[str, Any]:
    """Return the terms as a node of the manifest has them."""
    keys = ("access", "group", "version", "deprecation_date")
    return {key: getattr(terms, key) for key in keys}


def _macro(unique_id: str) -> Macro:
    """Return a macro of which only the name is known, and whose it is."""
    _, package, name = unique_id.split(".", 2)
    return Macro(
        unique_id=unique_id,
        name=name,
        package_name=package,
        original_file_path="",
        macro_sql="",
    )
