"""What a project consists of for an orchestrator, and the command of each step."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from martfeast.backfill.plan import batch_size_of, is_ranged, time_of
from martfeast.declaration.declared import FeatureMart, Mart
from martfeast.declaration.project import Project, read_project
from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.from_dbt.artifacts import read_settings
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.orchestration.command import Command, in_one_line, run_command
from martfeast.problems import DeclarationError, refusal

# What dbt says as a line of JSON each, of all that an orchestrator shows.
STRUCTURED = ("--log-format", "json", "--no-use-colors")
BUILT = ("model", "seed", "snapshot")


@dataclass(frozen=True)
class Steps:
    """A dbt project as an orchestrator runs it.

    project: what dbt says, what is published, and what is declared, as of when it was read.
    dbt_project: its folder, absolute, and dbt's options. feature_repo: the folder with
    feature_store.yaml, absolute; None if there is none. manifest: dbt's, as written.
    """

    project: Project
    dbt_project: DbtProject
    feature_repo: Path | None
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The dbt project's name."""
        return self.project.artifacts.graph.project_name

    @property
    def lock(self) -> Path:
        """The file that a run of an orchestrator locks, for as long as it may write."""
        return self.project.artifacts.published_path / ".orchestration.lock"

    @property
    def marts(self) -> dict[str, Mart]:
        """The project's own marts, which are published for Feast, by name."""
        return self.project.declaration.own_marts

    @property
    def feature_marts(self) -> dict[str, FeatureMart]:
        """The marts that are feature views, by name; none without a feature repo."""
        return self.project.declaration.feature_marts if self.feature_repo else {}

    @property
    def online_views(self) -> list[str]:
        """The feature views that are served online."""
        return [name for name, mart in self.feature_marts.items() if mart.online]

    @property
    def datasets(self) -> list[str]:
        """The exposures that have a label, of which training sets are built."""
        exposures = self.project.declaration.exposures if self.feature_repo else {}
        return [name for name, one in exposures.items() if one.label_mart is not None]

    @property
    def schedules(self) -> dict[str, list[str]]:
        """The marts of each schedule that is declared: a cron expression, in UTC."""
        found: dict[str, list[str]] = {}
        for name, mart in self.marts.items():
            if mart.time.schedule:
                found.setdefault(mart.time.schedule, []).append(name)
        return found

    @property
    def batches(self) -> dict[str, tuple[str, datetime]]:
        """The batch size of models that are made by ranges, and where their history starts, UTC.

        By unique_id; of models that say both, marts in the words of `meta.feast`, others in dbt's.
        """
        found = {}
        for unique_id, model in self.project.artifacts.graph.models.items():
            if not is_ranged(model):
                continue
            time = time_of(self.project, model)
            if time.start is not None and (time.batch or model.config.batch_size):
                found[unique_id] = (batch_size_of(model, time), time.start)
        return found

    def backfills(
        self, unique_ids: Iterable[str], start: datetime, end: datetime
    ) -> list[tuple[list[str], datetime]]:
        """Return what makes a range of ranged models anew: names of models, and where each begins.

        One entry for all, unless their batches have several sizes or their histories begin within
        the range. Models that depend on others of them are left out: those make them too.
        """
        asked, graph = set(unique_ids), self.project.artifacts.graph
        groups: dict[tuple[str, datetime], list[str]] = {}
        for one in sorted(asked):
            if asked.isdisjoint(set(graph.upstream(one)) - {one}):
                size, first = self.batches[one]
                groups.setdefault((size, max(start, first)), []).append(graph.models[one].name)
        return [(names, begin) for (_, begin), names in groups.items() if begin < end]

    def selector(self, unique_id: str) -> str:
        """Return what selects a node, and no other, for dbt: its path by folders."""
        for section in ("nodes", "unit_tests"):
            if unique_id in self.manifest[section]:
                return "fqn:" + ".".join(self.manifest[section][unique_id]["fqn"])
        raise KeyError(unique_id)

    def build(self, unique_ids: Sequence[str] | None, flags: Sequence[str] = ()) -> Command:
        """Return `dbt build` of nodes, tests among them; of everything where that is None."""
        selected: list[str] = []
        if unique_ids is not None:
            names = [self.selector(one) for one in unique_ids]
            selected = ["--select", *names, "--indirect-selection", "empty"]
        return self._dbt([*STRUCTURED, "build", *selected, *flags])

    def freshness(self) -> Command:
        """Return the command that asks how fresh sources are."""
        return self._dbt([*STRUCTURED, "source", "freshness"])

    def publish(self) -> Command | None:
        """Return the command that publishes what dbt built; None where dbt does that itself."""
        if self.project.artifacts.graph.adapter_type == REPLAY_ENGINE:
            return None
        return self._martfeast(["publish"])

    def backfill(self, names: Sequence[str], start: datetime, end: datetime) -> Command:
        """Return the command that makes a range of models anew; start, end: UTC, end left out."""
        moments = ("--from", f"{start:%Y-%m-%dT%H:%M:%S}", "--to", f"{end:%Y-%m-%dT%H:%M:%S}")
        return self._martfeast(["backfill", *names, *moments, "--log-format", "json"])

    def status(self) -> Command:
        """Return the command that asks the gate, and answers in JSON."""
        return self._martfeast(["status", "--json", *self._repo])

    def replay(self, marts: Sequence[str]) -> Command:
        """Return the command that replays marts."""
        selected = [part for name in marts for part in ("--select", name)]
        return self._martfeast(["replay", "--json", *selected, *self._repo])

    def apply(self) -> Command:
        """Return `feast apply`."""
        return Command("feast", ("-c", str(self.feature_repo), "apply"), self._folder)

    def materialize(self, views: Sequence[str]) -> Command:
        """Return the command that writes feature views to the online store."""
        return self._martfeast(["materialize", *views, *self._repo])

    def dataset(self, exposure: str) -> Command:
        """Return the command that builds a training set, if its inputs are new."""
        return self._martfeast(["dataset", exposure, "--json", *self._repo])

    @property
    def _folder(self) -> Path:
        return self.dbt_project.folder

    @property
    def _options(self) -> list[str]:
        target_path = self.dbt_project.target_path
        return [
            *self.dbt_project.arguments,
            *(("--target-path", target_path) if target_path else ()),
        ]

    @property
    def _repo(self) -> list[str]:
        return ["--feature-repo", str(self.feature_repo)] if self.feature_repo else []

    def _dbt(self, arguments: Sequence[str]) -> Command:
        return Command("dbt", (*arguments, *self._options), self._folder)

    def _martfeast(self, arguments: Sequence[str]) -> Command:
        return Command("martfeast", (*arguments, *self._options), self._folder)


def read_steps(dbt_project: DbtProject, feature_repo: Path | None = None) -> Steps:
    """Read a project as an orchestrator runs it; dbt parses it first where its files have changed.

    Args:
        dbt_project: its folder, and the options that dbt is to be run with.
        feature_repo: the folder with feature_store.yaml; by default `feature_repo` in the project,
            if there.

    Raises:
        DeclarationError: there is no dbt project, or dbt cannot parse it.

    """
    folder = dbt_project.folder.resolve()
    dbt_project = replace(dbt_project, folder=folder)
    _, settings = read_settings(dbt_project)
    dbt_project = replace(
        dbt_project, target=dbt_project.target_asked_for or settings.get("target")
    )
    try:
        project = read_project(dbt_project)
    except DeclarationError:
        _parse(dbt_project)
        project = read_project(dbt_project)
    repo = (feature_repo or folder / "feature_repo").resolve()
    has_repo = (repo / "feature_store.yaml").exists()
    if feature_repo is not None and not has_repo:
        message = f"{repo} has no feature_store.yaml."
        raise refusal("feature repo", "feature-repo-missing", message, "Name its folder.")
    manifest = json.loads((project.artifacts.target_path / "manifest.json").read_bytes())
    return Steps(project, dbt_project, repo if has_repo else None, manifest)


def _parse(dbt_project: DbtProject) -> None:
    target_path = dbt_project.target_path
    arguments = ["--no-use-colors", "parse", *dbt_project.arguments]
    arguments += ["--target-path", target_path] if target_path else []
    code, said = run_command(Command("dbt", tuple(arguments), dbt_project.folder))
    if code != 0:
        message = f"dbt cannot parse it: {in_one_line(said.splitlines()[-8:])}."
        raise refusal("dbt project", "not-parsed", message, "Mend it.")
