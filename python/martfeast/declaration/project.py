"""Reads a dbt project's declaration and validates it; nothing is judged here."""

from dataclasses import dataclass, replace
from zoneinfo import available_timezones

from martfeast.declaration.declared import Declaration, FeatureMart, LabelMart
from martfeast.declaration.exposures import read_exposures
from martfeast.declaration.keys import read_keys
from martfeast.declaration.mart_rules import check_marts
from martfeast.declaration.marts import read_marts
from martfeast.declaration.shared import SharedMart, read_shared
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.places import Place
from martfeast.problems import Problem, ProblemLog, did_you_mean
from martfeast.published.release import Release, read_release
from martfeast.published.replays import DEFAULT_CUTS, FEWEST_CUTS


@dataclass(frozen=True)
class Project:
    """A dbt project: what dbt says, what is published, and what is declared for Feast.

    problems: what is wrong with the declaration itself, or with the files of the release.
    cuts: how many past moments a replay must choose to be evidence.
    time_zones: IANA zones whose midnights and clock changes are among them.
    shared: other projects' marts that sources stand for; those that exposures name are among the
    declared ones.
    """

    artifacts: Artifacts
    release: Release
    declaration: Declaration
    problems: list[Problem]
    cuts: int = DEFAULT_CUTS
    time_zones: tuple[str, ...] = ()
    shared: tuple[SharedMart, ...] = ()


def read_project(dbt_project: ProjectLike, target_path: str | None = None) -> Project:
    """Read a dbt project's declaration, and say what is wrong with it.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        target_path: dbt's target folder, if it is not the project's usual one.

    Raises:
        DeclarationError: there is no dbt project here, or dbt has not run in it as it is now.

    """
    artifacts = read_artifacts(dbt_project, target_path)
    log = ProblemLog()
    release = read_release(artifacts.published_path, log)
    if release.target and artifacts.target not in (None, release.target):
        log.add(
            None,
            "published marts",
            "release-of-another-target",
            f"{artifacts.published_path} holds what target {release.target} published, and target"
            f" {artifacts.target} is meant.",
            f"Run `dbt build --target {artifacts.target}`; where both publish, give each a folder:"
            f" published_path: {{{release.target}: ..., {artifacts.target}: ...}}.",
        )
    # What is published can be made again only where it was made.
    artifacts = replace(artifacts, target=artifacts.target or release.target or None)
    return declare(artifacts, release, log)


def declare(artifacts: Artifacts, release: Release, log: ProblemLog) -> Project:
    """Return what a project declares, from what was read of it; files are not read any more.

    Args:
        artifacts: what dbt says.
        release: what is published.
        log: has the problems so far; what is wrong with the declaration is added.

    """
    own = read_marts(artifacts, release, log)
    shared, refused = read_shared(artifacts, log)
    told = ProblemLog()
    available = {one.mart.name: one.mart for one in reversed(shared)}
    available |= {mart.name: mart for mart in own}
    exposures = read_exposures(artifacts, available, shared, refused, told)
    named = {name for one in exposures for name in one.marts}
    used = []
    for one in shared:
        name = one.mart.name
        if name in named and available[name] is one.mart:
            used.append(one)
        elif name in named:
            log.add(
                one.mart.place,
                one.source.alias,
                "name-duplicate",
                f"{available[name].unique_id} is already called '{name}'.",
                "Give the table another name, and write the mart's under identifier.",
            )
    marts = sorted(
        [*own, *(one.mart for one in used)], key=lambda mart: (mart.name, mart.unique_id)
    )
    check_marts(marts, log)
    if any(one.config.materialized == "incremental" for one in artifacts.graph.models.values()):
        # Few projects need the SQL parser, and it takes time to import.
        from martfeast.declaration.look_back import check_look_back

        check_look_back(artifacts, own, log)
    declaration = Declaration(
        {mart.name: mart for mart in marts if isinstance(mart, FeatureMart)},
        {mart.name: mart for mart in marts if isinstance(mart, LabelMart)},
        {exposure.name: exposure for exposure in exposures},
        {one.mart.name: one for one in used},
    )
    cuts, time_zones = _read_replay_settings(artifacts, log)
    problems = [*log.problems, *told.problems]
    return Project(artifacts, release, declaration, problems, cuts, time_zones, tuple(shared))


def _read_replay_settings(artifacts: Artifacts, log: ProblemLog) -> tuple[int, tuple[str, ...]]:
    """Return the variables ``replay.cuts`` and ``replay.time_zones``; log what cannot be right."""
    steps = ("vars", "martfeast", "replay")
    place, subject = Place(artifacts.project_dir, "dbt_project.yml", steps), ".".join(steps)
    kinds = {"cuts": object, "time_zones": list}
    keys = read_keys(artifacts.settings.get("replay", {}), kinds, place, subject, log)
    cuts = keys.get("cuts", DEFAULT_CUTS)
    if isinstance(cuts, bool) or not isinstance(cuts, int) or cuts < FEWEST_CUTS:
        log.add(
            place.at("cuts"),
            f"{subject}.cuts",
            "wrong-value",
            f"{cuts!r} is no number of past moments that could show anything.",
            f"Write {FEWEST_CUTS} or more; {DEFAULT_CUTS} unless set.",
        )
        cuts = DEFAULT_CUTS
    zones = [str(name) for name in keys.get("time_zones", [])]
    for name in zones:
        if name not in available_timezones():
            fix = did_you_mean(name, available_timezones(), "Write an IANA name.")
            message = f"'{name}' is not a time zone."
            log.add(place.at("time_zones"), f"{subject}.time_zones", "wrong-value", message, fix)
    return cuts, tuple(name for name in zones if name in available_timezones())
