"""Judges other projects' marts, by the evidence in the releases that they are published with.

The criteria are those of a project's own marts, on what the release tells of the mart. For what
needs the other project's code, what its own judge recorded has to do, or it is not asked at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.declaration.shared import SharedMart
from martfeast.gate.criteria import CRITERIA, NO_LABEL_UPSTREAM
from martfeast.gate.criteria.quality import SOURCES_FRESH, TESTS_PASSED
from martfeast.gate.criteria.truth import INCREMENTS_EQUAL_FULL
from martfeast.gate.criterion import Criterion, Finding, some
from martfeast.gate.evidence import Evidence
from martfeast.published.release import Verdict
from martfeast.published.replays import ReplayRecord


@dataclass(frozen=True)
class SharedEvidence(Evidence):
    """What one shared mart is judged by: as a project's own, with the other's graph and release."""

    def lineage(self, mart: Mart) -> list[str]:
        """Return nothing: the release has no code of the mart and of what is above it."""
        return []


def evidence_of(
    evidence: Evidence, shared: SharedMart, replays: dict[str, ReplayRecord]
) -> SharedEvidence:
    """Return what a shared mart is judged by.

    Args:
        evidence: of this project.
        shared: the mart.
        replays: the records beside it, by the mart's unique_id.

    """
    project, record = evidence.project, replays.get(shared.mart.unique_id)
    artifacts = replace(project.artifacts, graph=shared.graph)
    # How many past moments are evidence is the other project's to say.
    cuts = min(project.cuts, record.asked) if record else project.cuts
    theirs = replace(project, artifacts=artifacts, release=shared.release, cuts=cuts)
    return SharedEvidence(theirs, replays, evidence.registered, evidence.now)


def _tests_passed(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    if version is None:
        return  # which is what `published` is about
    passed = {name for name, (status, _) in version.tests.items() if status in ("pass", "warn")}
    # Tests of what is above it are in the release only as far as they ran.
    named = {test.unique_id: test.name for test in evidence.graph.tests.values() if test.blocks}
    missing = [named.get(one, one.split(".")[2]) for one in {*version.tests, *named} - passed]
    if missing and not evidence.verdict(mart).held_back:
        message = f"Version {version.name} has not passed {some(sorted(missing))}."
        yield Finding(message, f"Run {evidence.build}.", mart.place)


def _no_label_upstream(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    if version is None or isinstance(mart, LabelMart):
        return
    for one in evidence.project.release.marts:
        is_above = one.unique_id in version.lineage and one.unique_id != mart.unique_id
        if is_above and one.sharing is not None and one.sharing.is_label:
            yield Finding(
                f"It is built on label mart '{one.mart}', so it knows what is to be predicted.",
                "Build it on what the label mart is built on.",
                mart.place,
            )


_OTHERWISE = {TESTS_PASSED: _tests_passed, NO_LABEL_UPSTREAM: _no_label_upstream}
# Releases say neither how fresh sources must be nor which models are incremental.
_NOT_ASKED = (SOURCES_FRESH, INCREMENTS_EQUAL_FULL)


def _asked_of_owner(criterion: Criterion, shared: SharedMart) -> Criterion:
    """Return a criterion whose findings say who can do something about them."""
    check = _OTHERWISE.get(criterion, criterion.check)

    def found(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
        for one in check(evidence, mart):
            yield replace(one, fix=shared.asked_of_owner(one.fix))

    return replace(criterion, check=found)


def criteria_for(shared: SharedMart) -> tuple[Criterion, ...]:
    """Return the criteria that a shared mart is judged on."""
    return tuple(_asked_of_owner(one, shared) for one in CRITERIA if one not in _NOT_ASKED)


def notices(shared: SharedMart, now: datetime | None = None) -> Iterator[str]:
    """Yield what is to be known of a shared mart and does not stop an apply.

    That its owner holds back newer rows, that it is going or gone stale, that there is a newer one.
    """
    terms, verdict = shared.terms, shared.verdict
    if verdict.held_back:
        more = f" and {len(verdict.held_back) - 1} more" if len(verdict.held_back) > 1 else ""
        version = f": version {verdict.version.name} stays" if verdict.version else ""
        yield (
            f"{shared.project} holds back its present rows ({verdict.held_back[0]}{more}){version}"
        )
    newer = [_in_words(one, terms.latest_version) for one in newer_versions(shared)]
    instead = f"; there is {' and '.join(newer)}" if newer else ""
    if terms.deprecation_date:
        ends = _moment(terms.deprecation_date)
        is_over = ends is not None and ends <= (now or datetime.now(UTC))
        when = terms.deprecation_date[:10]
        yield (
            f"its deprecation date, {when}, has passed: {shared.project} may remove it any day"
            f"{instead}"
            if is_over
            else f"{shared.project} means to remove it: its deprecation date is {when}{instead}"
        )
    elif newer:
        yield f"{shared.project} has a newer version of it{instead}"


def _in_words(verdict: Verdict, latest: str | int | float | None) -> str:
    """Return a version's name, and whether it is the one that is meant for use."""
    version = _number(verdict.sharing.version if verdict.sharing else None)
    age = "the latest" if version == _number(latest) else "a prerelease"
    return f"{verdict.mart} ({age})" if version >= _number(latest) else verdict.mart


def _number(version: str | int | float | None) -> tuple[float, str]:
    """Return a model version as dbt orders them: numbers by size, and text after them."""
    try:
        return (float(version if version is not None else "-inf"), "")
    except ValueError:
        return (float("inf"), str(version))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def newer_versions(shared: SharedMart) -> list[Verdict]:
    """Return the later versions of a mart's model that are published for all, the oldest first."""
    version = _number(shared.terms.version)
    model = shared.mart.unique_id.split(".")[:3]
    there = [
        (number, one)
        for one in shared.release.marts
        if one.sharing is not None
        and one.version is not None
        and one.sharing.access == "public"
        and one.unique_id.split(".")[:3] == model
        and (number := _number(one.sharing.version)) > version
    ]
    return [one for _, one in sorted(there, key=lambda pair: pair[0])]
