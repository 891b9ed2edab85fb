"""Replays a dbt project's marts, and keeps what was shown as evidence for the gate."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from martfeast.causes import Cause
from martfeast.declaration.declared import Mart
from martfeast.declaration.project import Project, read_project
from martfeast.engines.abilities import REPLAY_ENGINE
from martfeast.files import temporary_folder, wait_while_held
from martfeast.from_dbt.dbt_project import ProjectLike
from martfeast.gate.criteria import KNOWLEDGE_TIME_DECLARED, NO_LABEL_UPSTREAM, PUBLISHED
from martfeast.gate.criterion import some
from martfeast.gate.evidence import Evidence
from martfeast.gate.judge import as_problem
from martfeast.problems import DeclarationError, Problem, ProblemLog, did_you_mean, refusal
from martfeast.published.release import Release, read_release
from martfeast.published.replays import ReplayRecord, require_writable, write_replays
from martfeast.replay.blind_spots import warnings
from martfeast.replay.lineage import Lineage, compile_lineage
from martfeast.replay.report import ProjectReplay, failure
from martfeast.replay.run import MartReplay, Replay, Say, replay
from martfeast.replay.scratch import MACHINE, Scratch, out_of_room
from martfeast.replay.trust import distrusted, who_vouches

if TYPE_CHECKING:
    from martfeast.to_feast.repository import FeatureRepo

# What must hold before a mart can be replayed at all.
PRECONDITIONS = (PUBLISHED, KNOWLEDGE_TIME_DECLARED)


def replay_project(
    dbt_project: ProjectLike,
    feature_repo: "FeatureRepo | None" = None,
    names: Iterable[str] = (),
    cut_count: int | None = None,
    at: Iterable[datetime] = (),
    say: Say = lambda _: None,
    engine: str | None = None,
) -> ProjectReplay:
    """Replay marts as of past moments and record what was shown beside what is published.

    Args:
        dbt_project: the folder with dbt_project.yml, or with dbt's options too.
        feature_repo: whose offline store to check training with; by default this package's.
        names: the marts; by default all.
        cut_count: how many moments to choose, by default what the project asks for. Fewer are no
            evidence that a mart passes; a failure always counts.
        at: moments to replay instead, UTC; no evidence either, unless a mart fails.
        say: is told of progress, a line at a time.
        engine: where to build the marts again: "duckdb", which is the default, or the engine of
            the target, by dbt's name of it.

    Returns:
        What was shown, of one release: that which holds when the warehouse is read. A dbt run that
        has the warehouse then is waited for.

    Raises:
        DeclarationError: there is no project, a mart is not there or not published by its present
            code, something cannot be replayed, or what is replayed was removed meanwhile.

    """
    evidence, marts, scratch = _read(dbt_project, list(names), engine, say)
    project, release = evidence.project, evidence.project.release
    from martfeast.replay.serving import ASOF_STORE, ServingCheck  # Feast takes seconds to import

    say(f"replaying  release {release.number}")
    moments = list(at)
    asked = cut_count or project.cuts
    store = feature_repo.offline_store if feature_repo else ASOF_STORE
    try:
        with (
            ServingCheck(project.declaration, marts, store) as serving,
            contextlib.chdir(project.artifacts.project_dir),
        ):
            replayed = replay(marts, scratch, asked, moments, project.time_zones, serving, say)
    except MACHINE as error:
        raise out_of_room(error) from error
    finally:  # whatever another store makes of a file that is gone
        _require_files(marts, release)
    replayed = _without_other_rows(replayed, evidence, marts, scratch)
    newest = read_release(project.artifacts.published_path, ProblemLog())
    shown = _add_what_is_read(evidence, marts, scratch.lineage, replayed, newest.number)
    for mart in replayed.marts:
        if mart.due:
            shown.warnings[mart.mart].append(_due(mart))
    for name, said in serving.other_rows.items():
        shown.warnings[name].append(_other_store(name, str(store["type"]), said))
    records = _records(evidence, marts, scratch, shown, 0 if moments else asked)
    write_replays(project.artifacts.published_path, records)
    return shown


def _read(
    dbt_project: ProjectLike, names: list[str], engine_name: str | None, say: Say
) -> tuple[Evidence, list[Mart], Scratch]:
    """Read the project, the release and the warehouse, all of one state.

    dbt publishes before it gives its warehouse free, so a release that is the same before the
    warehouse is read and after it is the one that the last whole run left.
    """
    while True:
        project = read_project(dbt_project)
        evidence = Evidence(project)
        marts = _find_marts(project, names)
        try:
            _require_replayable(evidence, marts)
        except DeclarationError:  # so it may be as long as a run has not published yet
            warehouse = project.artifacts.project_dir / project.release.location
            if project.release.location and wait_while_held(warehouse):
                continue
            raise
        require_writable(project.artifacts.published_path)
        say("compiling the project")
        with temporary_folder("replay") as inputs:
            names_of = [mart.unique_id for mart in marts]
            lineage, engine = compile_lineage(project.artifacts, names_of, Path(inputs))
            own = _engine_asked_for(engine_name, lineage.built_on)
            # A file that SQL names is one of the project's, not one of where martfeast runs.
            with contextlib.chdir(project.artifacts.project_dir):
                scratch = Scratch(lineage, engine if own else None)
        now = read_release(project.artifacts.published_path, ProblemLog())
        if now.judged_by == project.release.judged_by:
            return evidence, marts, scratch
        say("dbt has published since the project was read: reading it again")


def _engine_asked_for(name: str | None, built_on: str) -> bool:
    """Tell whether the marts are to be built again on the engine of the target.

    Raises:
        DeclarationError: on another than that and DuckDB.

    """
    if name not in (None, REPLAY_ENGINE, built_on):
        raise refusal(
            "replay",
            "engine-unknown",
            f"It is to run on {name}, and the marts are built on {built_on}.",
            f"Write --engine {built_on}, or leave it out: it runs on {REPLAY_ENGINE} then.",
        )
    return name == built_on


def _require_files(marts: list[Mart], release: Release) -> None:
    """Insist that what was compared is still there."""
    gone = [mart for mart in marts if not mart.path.exists()]
    if gone:
        raise DeclarationError(
            [
                Problem(
                    mart.name,
                    "version-removed",
                    f"{mart.path} of release {release.number} was removed while it was replayed.",
                    "Nothing is recorded: run `martfeast replay` again.",
                    cause=Cause.INFRASTRUCTURE,
                )
                for mart in gone
            ]
        )


def _without_other_rows(
    replayed: Replay, evidence: Evidence, marts: list[Mart], scratch: Scratch
) -> Replay:
    """Say of a mart whose rows are others than those published why, if they were never meant to be.

    That is no fault of the mart, and nothing was shown of it.
    """
    release = evidence.project.release
    why = {
        mart.unique_id: _held_back(evidence, mart) or _later_run(mart, scratch, release)
        for mart in marts
    }
    return replace(
        replayed,
        marts=[
            one
            if one.is_as_published or not why[one.unique_id]
            else replace(
                one,
                is_of_release=False,
                problem=f"{why[one.unique_id]}, so there is nothing to compare and nothing is"
                " recorded. Run `dbt build`, then replay again",
            )
            for one in replayed.marts
        ],
    )


def _held_back(evidence: Evidence, mart: Mart) -> str:
    reasons = evidence.verdict(mart).held_back
    return f"its present rows are held back ({some(reasons)})" if reasons else ""


def _later_run(mart: Mart, scratch: Scratch, release: Release) -> str:
    """Return in words what built rows under a mart after a release; empty if nothing is known to.

    A run that was cut off or could not publish did; or the release is an older one, brought back.
    """
    lineage = scratch.lineage
    above = {lineage.called(name) for name in lineage.above(mart.unique_id)}
    for run in scratch.runs or []:
        if run.invocation == release.judged_by:
            return ""
        if run.relations & above:
            return f"the warehouse has rows of {run}, and release {release.number} is of before it"
    return ""


def _find_marts(project: Project, wanted: list[str]) -> list[Mart]:
    """Return the wanted marts, by default all."""
    marts = project.declaration.own_marts
    for name in wanted:
        if name not in marts:
            advice = did_you_mean(name, marts, f"Marts are: {', '.join(marts) or 'none'}.")
            raise refusal(name, "mart-unknown", "There is no such mart.", advice)
    return [mart for name, mart in marts.items() if not wanted or name in wanted]


def _require_replayable(evidence: Evidence, marts: list[Mart]) -> None:
    """Insist that the declaration is right, and that each mart meets the preconditions."""
    refused = evidence.project.problems + [
        as_problem(mart, criterion.name, finding)
        for mart in marts
        for criterion in PRECONDITIONS
        for finding in criterion.check(evidence, mart)
    ]
    if refused:
        raise DeclarationError(refused)


def _due(mart: MartReplay) -> Problem:
    """Return the warning that a mart's proof is still to come."""
    return Problem(
        mart.mart,
        "replay-due",
        mart.due,
        "When there are later facts (the next load or `dbt snapshot`), run `dbt build` and then"
        " `martfeast replay`; the gate asks for it.",
    )


def _other_store(mart: str, store: str, said: str) -> Problem:
    """Return the warning that an offline store, and not the mart, gives other rows."""
    return Problem(
        mart,
        "offline-store-differs",
        f"Feast's offline store {store} gives other rows than martfeast's, which gives the right"
        f" ones: {said}.",
        "Write offline_store: {type: martfeast.offline_store.DuckDBAsofOfflineStore} in"
        " feature_store.yaml, then run `martfeast replay`.",
    )


def _add_what_is_read(
    evidence: Evidence, marts: list[Mart], lineage: Lineage, replayed: Replay, newest: int
) -> ProjectReplay:
    """Add to what was replayed what only reading shows: labels upstream, trust, blind spots."""
    label_upstream = {
        mart.name: finding.message.rstrip(".")
        for mart in marts
        for finding in NO_LABEL_UPSTREAM.check(evidence, mart)
    }
    plans, folder = replayed.plans, evidence.project.artifacts.project_dir
    vouching = {
        mart.unique_id: who_vouches(lineage, lineage.relations[mart.unique_id]) for mart in marts
    }
    trusted = {name: one for vouched in vouching.values() for name, one in vouched.trusted.items()}
    distrust = distrusted(lineage, plans, trusted)
    read = warnings(lineage, plans, vouching, folder)

    def problem(mart: MartReplay) -> str:
        words = [distrust[one] for one in vouching[mart.unique_id].trusted if one in distrust]
        return label_upstream.get(mart.mart) or mart.problem or " ".join(words).rstrip(".")

    return ProjectReplay(
        replayed,
        [replace(one, problem=problem(one)) for one in replayed.marts],
        {mart.name: read[mart.unique_id] for mart in marts},
        {
            mart.name: {
                one.name: one.declared.trusted for one in vouching[mart.unique_id].trusted.values()
            }
            for mart in marts
        },
        evidence.project.release.number,
        newest,
    )


def _records(
    evidence: Evidence, marts: list[Mart], scratch: Scratch, shown: ProjectReplay, asked: int
) -> dict[str, ReplayRecord]:
    """Return what the gate is to know; a failure is evidence always.

    asked: how many moments were to be chosen; 0 where they were given.
    """
    artifacts, lineage = evidence.project.artifacts, scratch.lineage
    versions = {mart.unique_id: mart.version for mart in marts}
    return {
        result.unique_id: ReplayRecord(
            lineage={
                name: artifacts.replay_checksum(name)
                for name in sorted(lineage.above(result.unique_id))
            },
            compiled={
                name: checksum
                for name in sorted(lineage.above(result.unique_id))
                if (checksum := lineage.compiled[name])
            },
            replayed_at=f"{evidence.now:%Y-%m-%d %H:%M:%S}",
            asked=asked,
            cuts=result.cuts,
            enough=result.enough,
            known_from=getattr(versions[result.unique_id], "first_known_at", None),
            known_until=getattr(versions[result.unique_id], "last_known_at", None),
            compared=result.compared,
            withheld=result.withheld,
            failure=failure(result),
            warnings=[f"{one.message} {one.fix}" for one in shown.warnings[result.mart]],
            trusted=shown.trusted[result.mart],
            built_on=lineage.built_on,
            replayed_on=lineage.built_on if scratch.engine else REPLAY_ENGINE,
        )
        for result in shown.replay.marts
        if result.is_of_release and (asked >= evidence.project.cuts or result.differences)
    }
