"""Criteria of quality: is the data good enough for feature engineering."""

import json
from collections.abc import Iterator
from datetime import timedelta

from martfeast.declaration.declared import LabelMart, Mart
from martfeast.engines.abilities import enforced_constraints
from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.node import Model, Source, Test, UnitTest
from martfeast.from_dbt.tested import (
    UNIQUENESS_TESTS,
    never_null_columns,
    redefinitions,
    unique_columns,
    unquoted,
)
from martfeast.gate.criterion import GOOD_ENOUGH, Criterion, Finding, some
from martfeast.gate.evidence import Evidence
from martfeast.gate.touched import touched_by
from martfeast.published.release import PublishedVersion

# Constraints that keep a column from null.
NO_NULLS = frozenset({"not_null", "primary_key"})


def _grain_tested_unique(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if isinstance(mart, LabelMart) and mart.natural_key:
        return
    grain = {name.lower() for name in (*mart.entity_columns, mart.timestamp, mart.created)}
    if not any(columns <= grain for columns in unique_columns(evidence.graph, mart.unique_id)):
        keys = ", ".join([*mart.entity_columns, mart.timestamp])
        fix = f"Add the test martfeast.unique_grain over [{keys}] or over some of them"
        if isinstance(mart, LabelMart):
            fix += "; or, if its rows have a key of their own, the test unique on that column"
        yield Finding(
            "No test of severity error says that a key and moment have one row."
            f"{_redefined(evidence, mart, *UNIQUENESS_TESTS)}",
            f"{fix}.",
            mart.place,
        )


def _redefined(evidence: Evidence, mart: Mart, *names: str) -> str:
    """Return which of a mart's tests the project defines anew, so that they show nothing."""
    found = {
        test.generic.name: macros[0]
        for test in evidence.graph.generic_tests_on(mart.unique_id)
        if test.generic and test.generic.name in names
        if (macros := redefinitions(evidence.graph, test))
    }
    return "".join(
        f" Test {name} does not count: macro {macro.name} in {macro.original_file_path} takes the"
        f" place of what {name} is."
        for name, macro in found.items()
    )


def _never_null(evidence: Evidence, mart: Mart) -> set[str]:
    """Return the columns that a test or an enforced constraint keeps from null, in lower case."""
    model = evidence.model(mart)
    safe = never_null_columns(evidence.graph, mart.unique_id)
    is_table = model.config.materialized in ("table", "incremental")
    if is_table and model.config.is_contract_enforced:
        safe |= _constrained(model, _kept_from_null(evidence, mart))
    return safe


def _constrained(model: Model, kinds: frozenset[str]) -> set[str]:
    """Return the columns that a contract has constraints of some kinds on, in lower case."""
    found = {
        column.name.lower()
        for column in model.columns.values()
        if any(constraint.type in kinds for constraint in column.constraints or ())
    }
    for constraint in model.constraints or ():
        if constraint.type in kinds:
            found.update(unquoted(name).lower() for name in constraint.columns)
    return found


def _kept_from_null(evidence: Evidence, mart: Mart) -> frozenset[str]:
    """Return the constraints by which the engine of the mart keeps a column from null."""
    config = evidence.model(mart).config
    kinds = enforced_constraints(evidence.graph.adapter_type, config.file_format)
    return kinds & NO_NULLS


def _unenforced(evidence: Evidence, mart: Mart, names: list[str]) -> str:
    """Return that constraints of columns do not count, if they have some and none is enforced."""
    model, engine = evidence.model(mart), evidence.graph.adapter_type
    declared = _constrained(model, NO_NULLS)
    if not declared.intersection(map(str.lower, names)) or _kept_from_null(evidence, mart):
        return ""
    file_format = model.config.file_format
    where = f"{engine}, in tables of {file_format}," if file_format else engine
    return f" The constraint in its contract does not count: {where} enforces none."


def _keys_not_null(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    safe = _never_null(evidence, mart)
    needed = [*mart.entity_columns, mart.timestamp]
    if isinstance(mart, LabelMart):
        # A spine may lack a key that is not its grain: that row then has no features from there.
        grain = set().union(*unique_columns(evidence.graph, mart.unique_id))
        needed = [name for name in needed if name.lower() in grain or name == mart.timestamp]
        needed += mart.natural_key
    nullable = [name for name in needed if name and name.lower() not in safe]
    if nullable:
        or_constraint = ", or the constraint," if _kept_from_null(evidence, mart) else ""
        yield Finding(
            f"{', '.join(nullable)} may be null, and no row can be looked up by a null."
            f"{_redefined(evidence, mart, 'not_null')}{_unenforced(evidence, mart, nullable)}",
            f"Add the test not_null{or_constraint} to each of them.",
            mart.place.at(("columns", nullable[0])),
        )


def _has_passed(evidence: Evidence, test: Test | UnitTest, version: PublishedVersion) -> bool:
    status, checksum = version.tests.get(test.unique_id, ("", None))
    if isinstance(test, Test):
        is_same = checksum == code_checksum(evidence.graph, test.unique_id)
        return status in ("pass", "warn") and is_same
    return status == "pass"  # dbt shows hooks no checksum of a unit test


def _other_variables(evidence: Evidence, version: PublishedVersion) -> list[str]:
    """Return the variables that a version was given and the project does not have so, as words."""
    artifacts = evidence.project.artifacts
    scoped = artifacts.variables.get(artifacts.graph.project_name)
    has = {**artifacts.variables, **(scoped if isinstance(scoped, dict) else {})}
    now = {name: json.dumps(value, sort_keys=True, default=str) for name, value in has.items()}
    return [
        f"{name} was {value} and is {now.get(name, 'not set')}"
        for name, values in sorted(version.ran.variables.items())
        for value in sorted(values)
        if now.get(name) != value
    ]


def _tests_passed(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    verdict = evidence.verdict(mart)
    version = verdict.version
    if version is None or evidence.changed_since(mart, version.lineage):
        return  # which is what `published` is about
    if verdict.held_back:
        yield Finding(
            f"Its present rows were held back: {some(verdict.held_back)}."
            f"{touched_by(evidence.graph, mart, verdict.held_back)}"
            f" Version {version.name} stays published.",
            f"Mend the data or the model, then run {evidence.build}.",
            mart.place,
        )
        return
    other = _other_variables(evidence, version)
    if other:
        yield Finding(
            f"Version {version.name} was built or tested with other variables than the project"
            f" has: {some(other)}.",
            "Run `dbt build` without --vars, or set them in dbt_project.yml; or, where they are"
            " meant, give martfeast the same --vars.",
            mart.place,
        )
    missing = [
        test.name
        for test in evidence.graph.tests_of(evidence.lineage(mart))
        if test.blocks and not _has_passed(evidence, test, version)
    ]
    if missing:
        yield Finding(
            f"Version {version.name} has not passed {some(sorted(missing))}.",
            f"Run {evidence.build}.",
            mart.place,
        )


def _sources_fresh(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    sources = evidence.graph.sources
    for unique_id in sorted(set(evidence.lineage(mart)) & set(sources)):
        yield from _source_fresh(evidence, mart, sources[unique_id])


def _source_fresh(evidence: Evidence, mart: Mart, source: Source) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    limit = source.freshness.error_after if source.freshness else None
    says_when = source.loaded_at_field or source.loaded_at_query
    if limit is None or not limit.count or not limit.period or not says_when:
        yield Finding(
            f"Source {source.alias} does not say how fresh it must be.",
            "Give it loaded_at_field and freshness: {error_after: ...} under config.",
            evidence.project.artifacts.place(source),
        )
        return
    if version is None:
        return
    loaded_at = version.sources.get(source.unique_id)
    if loaded_at is None:
        message = f"Version {version.name} does not say when source {source.alias} was loaded."
        yield Finding(message, "Load it, then run `dbt build`.", mart.place)
        return
    allowed = timedelta(**{f"{limit.period}s": limit.count})
    if evidence.now.replace(tzinfo=None) - loaded_at > allowed:
        yield Finding(
            f"Source {source.alias} was loaded at {loaded_at:%Y-%m-%d %H:%M} UTC,"
            f" more than {limit.count} {limit.period}s ago.",
            "Load it, then run `dbt build`.",
            mart.place,
        )


GRAIN_TESTED_UNIQUE = Criterion(
    "grain_tested_unique",
    GOOD_ENOUGH,
    "A test says that there is one row for a key and a moment.",
    _grain_tested_unique,
)
KEYS_NOT_NULL = Criterion(
    "keys_not_null",
    GOOD_ENOUGH,
    "Keys and timestamp are never null.",
    _keys_not_null,
)
TESTS_PASSED = Criterion(
    "tests_passed",
    GOOD_ENOUGH,
    "Every test of severity error on the mart and its ancestors passed on its present rows,"
    " and they are the published version.",
    _tests_passed,
)
SOURCES_FRESH = Criterion(
    "sources_fresh",
    GOOD_ENOUGH,
    "The sources under it are as fresh as they must be.",
    _sources_fresh,
)
