"""Criteria of truth: does it represent ground truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.declaration.keys import FEAST
from martfeast.from_dbt.node import Model, feast_meta
from martfeast.gate.criterion import TRUTH, Criterion, Finding, some
from martfeast.gate.evidence import Evidence
from martfeast.published.release import PublishedVersion
from martfeast.published.replays import ReplayRecord

# How long increments may go on before all rows are built anew and compared.
INCREMENTS_FOR = timedelta(days=7)
# Generic tests that audit a label.
LABEL_AUDITS = ("label_coverage", "label_base_rate")


def _knowledge_time_declared(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    declared = evidence.model(mart).config.event_time
    if mart.known_at and declared != mart.known_at:
        is_label_mart = isinstance(mart, LabelMart)
        what = "the label became known" if is_label_mart else "a row's features became known"
        yield Finding(
            f"event_time is {declared or 'not set'}, and must be {mart.known_at}: when {what}.",
            f"Set event_time: {mart.known_at} under config.",
            mart.place.at("config"),
        )


def _no_label_upstream(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if isinstance(mart, LabelMart):
        return
    shared = {one.source.unique_id: one.mart for one in evidence.project.shared}
    for unique_id in sorted(set(evidence.lineage(mart)) - {mart.unique_id}):
        node = evidence.graph.relation(unique_id)
        _, value = feast_meta(node)
        is_own = isinstance(node, Model) and isinstance(value, dict) and "label" in value
        if is_own or isinstance(shared.get(unique_id), LabelMart):
            yield Finding(
                f"It is built on label mart '{node.alias}', so it knows what is to be predicted.",
                "Build it on what the label mart is built on.",
                mart.place,
            )


def _label_audited(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not isinstance(mart, LabelMart):
        return
    if not mart.label.groups:
        yield Finding(
            "Its label names no groups, so nobody would see whom it leaves out.",
            "Add groups: [<column>, ...] under label: columns that divide the rows.",
            mart.place.at(*FEAST, "label"),
        )
    tests = evidence.graph.generic_tests_on(mart.unique_id)
    names = {test.generic.name for test in tests if test.generic}
    missing = [f"martfeast.{name}" for name in LABEL_AUDITS if name not in names]
    if missing:
        yield Finding(
            "No thresholds are set for its coverage and base rate.",
            f"Add {' and '.join(missing)} to the tests of column {mart.label.column}.",
            mart.place.at(("columns", mart.label.column)),
        )


def _replayed(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    if version is None or evidence.changed_since(mart, version.lineage):
        return  # which is what `published` is about
    if any(_knowledge_time_declared(evidence, mart)):
        return  # it comes first
    record = evidence.replays.get(mart.unique_id)
    fix = "Run `martfeast replay`."
    if record is None:
        yield Finding("No replay has shown that it never knew the future.", fix, mart.place)
        return
    artifacts = evidence.project.artifacts
    changed = [
        unique_id.split(".", 2)[2]
        for unique_id in sorted(evidence.lineage(mart))
        if evidence.graph.relation(unique_id).config.materialized != "ephemeral"
        and record.lineage.get(unique_id) != artifacts.replay_checksum(unique_id)
    ]
    if changed:
        message = (
            f"Code, knowledge time or variables of {some(changed)} have changed since it was"
            " replayed."
        )
        yield Finding(message, fix, mart.place)
    elif other := _other_sql(record, version):
        message = (
            f"{some(other)} ran other SQL when version {version.name} was built than was replayed:"
            " with other variables, or in another environment."
        )
        fix = "Run `dbt build` and `martfeast replay` with the same variables and environment."
        yield Finding(message, fix, mart.place)
    elif not record.failure and record.asked < evidence.project.cuts:
        message = (
            f"It was replayed at {record.asked} chosen moments, and the project asks for"
            f" {evidence.project.cuts} (vars.martfeast.replay.cuts)."
        )
        yield Finding(message, fix, mart.place)
    elif not record.failure and record.cuts < min(record.enough, evidence.project.cuts):
        message = (
            f"It was replayed at {record.cuts} moments that withheld facts under it and compared"
            f" rows of it, and {min(record.enough, evidence.project.cuts)} are needed."
        )
        yield Finding(message, fix, mart.place)
    elif (
        not record.failure and record.enough < evidence.project.cuts and _has_grown(record, version)
    ):
        message = (
            f"It was replayed at {record.cuts} moments, all that its data had then, up to"
            f" {record.known_until}; now it goes up to {version.last_known_at} and can show more."
        )
        yield Finding(message, fix, mart.place)
    elif record.failure:
        fix = f"Mend it; `martfeast replay --select {mart.name}` shows rows and sources."
        yield Finding(f"Its replay failed: {record.failure}.", fix, mart.place)


def _increments_equal_full(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version, record = evidence.verdict(mart).version, evidence.replays.get(mart.unique_id)
    increments = [
        evidence.graph.models[name].alias
        for name in sorted(evidence.lineage(mart))
        if name in evidence.graph.models
        and evidence.graph.models[name].config.materialized == "incremental"
    ]
    # A replay builds all rows anew before it withholds any, and has not passed if they are others.
    if not increments or version is None or record is None or any(_replayed(evidence, mart)):
        return  # the last of which says what is missing
    try:
        compared = datetime.fromisoformat(str(record.known_until))
        grown = datetime.fromisoformat(str(version.last_known_at)) - compared
        grown = max(grown, version.published_at - datetime.fromisoformat(record.replayed_at))
    except ValueError:  # without rows, or in a year that Python does not have
        return
    if grown > INCREMENTS_FOR:
        yield Finding(
            f"{some(increments)} added rows by increments, and all rows were last built anew and"
            f" compared up to {record.known_until}, on {record.replayed_at}; it goes up to"
            f" {version.last_known_at}, published {version.published_at:%Y-%m-%d}.",
            f"Run `martfeast replay --select {mart.name}`, at least every"
            f" {INCREMENTS_FOR.days} days.",
            mart.place,
        )


def _other_sql(record: ReplayRecord, version: PublishedVersion) -> list[str]:
    """Return which models ran other SQL for a version than in its replay, by name."""
    return [
        unique_id.split(".", 2)[2]
        for unique_id, compiled in sorted(record.compiled.items())
        if version.ran.compiled.get(unique_id, compiled) != compiled
    ]


def _has_grown(record: ReplayRecord, version: PublishedVersion) -> bool:
    """Tell whether a mart covers more than twice the time that it did when it was replayed."""
    moments = (record.known_from, record.known_until, version.first_known_at, version.last_known_at)
    try:
        first, last, first_now, last_now = (datetime.fromisoformat(str(one)) for one in moments)
    except ValueError:  # without rows, or in a year that Python does not have
        return False
    return last_now - first_now > 2 * (last - first)


KNOWLEDGE_TIME_DECLARED = Criterion(
    "knowledge_time_declared",
    TRUTH,
    "Its event_time is the column that says when a row became known.",
    _knowledge_time_declared,
)
NO_LABEL_UPSTREAM = Criterion(
    "no_label_upstream",
    TRUTH,
    "It does not depend on a label mart.",
    _no_label_upstream,
)
LABEL_AUDITED = Criterion(
    "label_audited",
    TRUTH,
    "A label mart names groups, and has tests of its coverage and base rate.",
    _label_audited,
)
REPLAYED = Criterion(
    "replayed",
    TRUTH,
    "Built again as of past moments, by its present code, it never knew the future.",
    _replayed,
)
INCREMENTS_EQUAL_FULL = Criterion(
    "increments_equal_full",
    TRUTH,
    "What increments left is what a full build gives, shown within the last 7 days.",
    _increments_equal_full,
)
