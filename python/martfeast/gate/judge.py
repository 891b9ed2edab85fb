"""Judges whether marts have earned to be features: the criteria, and the evidence for each.

The criteria are policy: a project may lower one to a warning, and a mart may be excused from one
with a reason and until a date. What Feast cannot do without at all is a problem of the declaration.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from martfeast.declaration.declared import Exposure, Mart
from martfeast.declaration.keys import FEAST, feast_meta
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.places import Place
from martfeast.problems import Problem, ProblemLog, did_you_mean
from martfeast.published.release import PublishedVersion, Release, Verdict, column_differences
from martfeast.published.replays import ReplayRecord

# Generic tests that say that columns are unique together, with the argument that names the columns.
UNIQUENESS_TESTS = {
    "unique": "column_name",
    "unique_grain": "columns",
    "unique_combination_of_columns": "combination_of_columns",
    "expect_compound_columns_to_be_unique": "column_list",
}

PASS, FAIL, WARN, WAIVED = "pass", "fail", "warn", "waived"


@dataclass(frozen=True)
class Finding:
    """Why a mart does not meet a criterion. place: where to put it right."""

    message: str
    fix: str
    place: Place


@dataclass(frozen=True)
class Criterion:
    """One thing a mart must show before it becomes features.

    name: stable, used in settings and waivers. question: what it answers.
    sentence: what must hold. is_fixed: it can be neither lowered nor waived.
    """

    name: str
    question: str
    sentence: str
    check: Callable[["Evidence", Mart], Iterator[Finding]]
    is_fixed: bool = False


@dataclass(frozen=True)
class Judgement:
    """How a mart stands on a criterion.

    state: pass, fail, warn (lowered by the project's settings) or waived.
    findings: why it does not pass. waiver: the reason and the last day of a waiver that holds.
    """

    criterion: Criterion
    state: str
    findings: list[Finding]
    waiver: str = ""


@dataclass(frozen=True)
class MartReadiness:
    """How a mart stands on every criterion, by the criterion's name.

    warnings: what its last replay found to look at.
    """

    mart: Mart
    judgements: dict[str, Judgement]
    warnings: list[str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the mart from being applied."""
        return all(judgement.state != FAIL for judgement in self.judgements.values())


@dataclass(frozen=True)
class Registered:
    """What a Feast registry holds; by default nothing.

    services: for each feature service, the Feast type of each feature, by feature view.
    keys: for each feature view, the Feast type of each of its join keys.
    """

    services: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that marts are judged by. now: UTC, with zone."""

    artifacts: Artifacts
    release: Release
    replays: dict[str, ReplayRecord]
    exposures: list[Exposure]
    registered: Registered
    now: datetime

    def node(self, mart: Mart) -> dict[str, Any]:
        """Return the mart's node of the manifest."""
        node: dict[str, Any] = self.artifacts.manifest["nodes"][mart.unique_id]
        return node

    def verdict(self, mart: Mart) -> Verdict:
        """Return what the last dbt run said of the mart."""
        return self.release.verdicts.get(mart.unique_id, Verdict(None, [], []))

    def lineage(self, mart: Mart) -> set[str]:
        """Return the unique_ids of the mart and of everything upstream of it."""
        return set(self.artifacts.upstream(mart.unique_id))

    def tests(self, lineage: set[str]) -> Iterator[dict[str, Any]]:
        """Yield the data tests and unit tests on any node of a lineage."""
        manifest = self.artifacts.manifest
        for node in manifest["nodes"].values():
            if node["resource_type"] == "test":
                attached = node.get("attached_node")
                tested = [attached] if attached else node["depends_on"]["nodes"]
                if not lineage.isdisjoint(tested):
                    yield node
        for node in manifest.get("unit_tests", {}).values():
            if not lineage.isdisjoint(node["depends_on"]["nodes"][:1]):
                yield node


def judge(
    marts: list[Mart], evidence: Evidence, settings: Any, log: ProblemLog
) -> list[MartReadiness]:
    """Judge every mart on every criterion.

    Args:
        marts: the marts, by name.
        evidence: what to judge by.
        settings: ``error`` or ``warn`` by criterion name, from the project's variables.
        log: where settings and waivers that cannot be right go.

    """
    levels = _check_settings(settings, evidence.artifacts, log)
    return [_judge_mart(mart, evidence, levels, log) for mart in marts]


def failures(readiness: list[MartReadiness]) -> list[Problem]:
    """Return what keeps marts from being applied, as problems."""
    return [
        Problem(
            mart.mart.name,
            judgement.criterion.name,
            finding.message,
            finding.fix,
            finding.place.file,
            finding.place.line,
        )
        for mart in readiness
        for judgement in mart.judgements.values()
        if judgement.state == FAIL
        for finding in judgement.findings
    ]


def _judge_mart(
    mart: Mart, evidence: Evidence, settings: dict[str, Any], log: ProblemLog
) -> MartReadiness:
    waivers, expired = _read_waivers(mart, evidence, log)
    judgements = {}
    for criterion in CRITERIA:
        findings = list(criterion.check(evidence, mart))
        state, waiver = PASS, ""
        if findings:
            waiver = waivers.get(criterion.name, "")
            lowered = settings.get(criterion.name) == "warn" and not criterion.is_fixed
            state = WAIVED if waiver else WARN if lowered else FAIL
            if criterion.name in expired:
                first = findings[0]
                message = f"{first.message} The waiver ended with {expired[criterion.name]}."
                findings[0] = Finding(message, first.fix, first.place)
        judgements[criterion.name] = Judgement(criterion, state, findings, waiver)
    record = evidence.replays.get(mart.unique_id)
    return MartReadiness(mart, judgements, record.warnings if record else [])


def _check_settings(settings: Any, artifacts: Artifacts, log: ProblemLog) -> dict[str, Any]:
    if not isinstance(settings, dict):
        place = Place(artifacts.project_dir, "dbt_project.yml", ("vars", "martfeast", "criteria"))
        fix = "Write a mapping, for example: {described: warn}."
        message = f"{settings!r} is not a mapping."
        log.add(place, "vars.martfeast.criteria", "wrong-value", message, fix)
        return {}
    names = [criterion.name for criterion in CRITERIA if not criterion.is_fixed]
    for name, level in settings.items():
        place = Place(
            artifacts.project_dir, "dbt_project.yml", ("vars", "martfeast", "criteria", str(name))
        )
        subject = f"vars.martfeast.criteria.{name}"
        if name not in names:
            fix = did_you_mean(name, names, f"Criteria are: {', '.join(names)}.")
            message = f"'{name}' is not a criterion that can be set."
            log.add(place, subject, "criterion-unknown", message, fix)
        elif level not in ("error", "warn"):
            message = f"{level!r} is not a level."
            log.add(place, subject, "wrong-value", message, "Write error or warn.")
    return settings


def _read_waivers(
    mart: Mart, evidence: Evidence, log: ProblemLog
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the waivers that hold (reason and last day), and the last day of those that ended."""
    holding, ended = {}, {}
    names = [criterion.name for criterion in CRITERIA if not criterion.is_fixed]
    place = mart.place.at(*FEAST, "waivers")
    for waiver in mart.waivers:
        subject = f"{mart.name}.waivers"
        name = waiver.get("criterion")
        if name not in names:
            fix = did_you_mean(name, names, f"Criteria are: {', '.join(names)}.")
            message = f"'{name}' is not a criterion that can be waived."
            log.add(place, subject, "criterion-unknown", message, fix)
            continue
        try:
            until = date.fromisoformat(str(waiver.get("until")))
        except ValueError:
            message = f"The waiver of {name} has no last day: until is {waiver.get('until')!r}."
            log.add(place, subject, "waiver-incomplete", message, "Add until: YYYY-MM-DD.")
            continue
        reason = str(waiver.get("reason") or "").strip()
        if not reason:
            message = f"The waiver of {name} gives no reason."
            log.add(place, subject, "waiver-incomplete", message, "Add reason: <why, in words>.")
        elif until < evidence.now.date():
            ended[name] = str(until)
        else:
            holding[name] = f"{reason} (until {until})"
    return holding, ended


def _contract_enforced(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not evidence.node(mart)["config"].get("contract", {}).get("enforced"):
        yield Finding(
            "Feast's types come from the contract, and it is not enforced.",
            "Set contract: {enforced: true} under config.",
            mart.place.at("config"),
        )


def _generic_tests(evidence: Evidence, mart: Mart) -> Iterator[dict[str, Any]]:
    """Yield the generic tests that are attached to the mart."""
    for node in evidence.artifacts.manifest["nodes"].values():
        is_attached = node.get("attached_node") == mart.unique_id
        if node["resource_type"] == "test" and is_attached and node.get("test_metadata"):
            yield node


def _tests_on(evidence: Evidence, mart: Mart) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and arguments of the mart's own generic tests that any row at all can fail."""
    for node in _generic_tests(evidence, mart):
        metadata, config = node["test_metadata"], node["config"]
        if (
            str(config["severity"]).lower() == "error"
            and config.get("error_if") == "!= 0"
            and config.get("fail_calc") == "count(*)"
            and not config.get("where")
            and not config.get("limit")
        ):
            yield metadata["name"], metadata["kwargs"]


def _unique_columns(evidence: Evidence, mart: Mart) -> list[set[str]]:
    """Return the sets of columns that a test says are unique together.

    They are dbt's own on one column, and those of packages on several. In lower case.
    """
    found = []
    for name, arguments in _tests_on(evidence, mart):
        columns = arguments.get(UNIQUENESS_TESTS.get(name, ""))
        if columns:
            listed = columns if isinstance(columns, list) else [columns]
            found.append({str(column).lower() for column in listed})
    return found


def _grain_tested_unique(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    grain = {name.lower() for name in (*mart.entity_columns, mart.timestamp, mart.created)}
    if not any(columns <= grain for columns in _unique_columns(evidence, mart)):
        keys = ", ".join([*mart.entity_columns, mart.timestamp])
        yield Finding(
            "No test of severity error says that a key and moment have one row.",
            f"Add the test martfeast.unique_grain over [{keys}] or over some of them.",
            mart.place,
        )


def _keys_not_null(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    node = evidence.node(mart)
    safe = {
        str(arguments["column_name"]).lower()
        for name, arguments in _tests_on(evidence, mart)
        if name == "not_null"
    }
    is_table = node["config"]["materialized"] in ("table", "incremental")
    if is_table and node["config"].get("contract", {}).get("enforced"):
        for column in node["columns"].values():
            kinds = {constraint["type"] for constraint in column.get("constraints") or []}
            if kinds & {"not_null", "primary_key"}:
                safe.add(column["name"].lower())
        for constraint in node.get("constraints") or []:
            if constraint["type"] in ("not_null", "primary_key"):
                safe.update(name.lower() for name in constraint["columns"])
    needed = [*mart.entity_columns, mart.timestamp]
    if mart.label is not None:
        # A spine may lack a key that is not its grain: that row then has no features from there.
        grain = set().union(*_unique_columns(evidence, mart))
        needed = [name for name in needed if name.lower() in grain or name == mart.timestamp]
    nullable = [name for name in needed if name and name.lower() not in safe]
    if nullable:
        yield Finding(
            f"{', '.join(nullable)} may be null, and no row can be looked up by a null.",
            "Add the test not_null, or the constraint, to each of them.",
            mart.place.at(("columns", nullable[0])),
        )


def _published(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    verdict = evidence.verdict(mart)
    version = verdict.version
    if version is None:
        why = f": {_some(verdict.held_back)}" if verdict.held_back else ""
        message = f"No version of it is published{why}."
        yield Finding(message, "Run `dbt build` and mend what it holds back.", mart.place)
        return
    changed = _changed_since(evidence, mart, version.lineage)
    if changed:
        why = f" ({_some(verdict.held_back)})" if verdict.held_back else ""
        yield Finding(
            f"The code of {_some(changed)} has changed since version {version.name} was"
            f" published{why}.",
            "Run `dbt build`.",
            mart.place,
        )
        return
    differences = column_differences(
        version.path, {column.name: column.type for column in mart.columns}
    )
    if differences:
        fix = "Remove the file if it is there, then run `dbt build`: it publishes the mart anew."
        yield Finding(f"{differences}.", fix, mart.place)


def _changed_since(evidence: Evidence, mart: Mart, lineage: dict[str, str]) -> list[str]:
    """Return which of the mart and the models upstream run other code now than in a lineage.

    A seed's code is its rows: rows that changed and are held back are for `tests_passed` to say.
    """
    nodes = evidence.artifacts.manifest["nodes"]
    return [
        nodes[unique_id]["alias"]
        for unique_id in sorted(evidence.lineage(mart) & set(nodes))
        if nodes[unique_id]["resource_type"] == "model"
        and nodes[unique_id]["config"]["materialized"] != "ephemeral"
        and lineage.get(unique_id) != evidence.artifacts.code_checksum(unique_id)
    ]


def _has_passed(evidence: Evidence, node: dict[str, Any], version: PublishedVersion) -> bool:
    status, code_checksum = version.tests.get(node["unique_id"], ("", None))
    if node["resource_type"] != "unit_test":  # dbt shows hooks no checksum of a unit test
        is_same = code_checksum == evidence.artifacts.code_checksum(node["unique_id"])
        return status in ("pass", "warn") and is_same
    return status == "pass"


def _tests_passed(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    verdict = evidence.verdict(mart)
    version = verdict.version
    if version is None or _changed_since(evidence, mart, version.lineage):
        return  # which is what `published` is about
    if verdict.held_back:
        yield Finding(
            f"Its present rows were held back: {_some(verdict.held_back)}."
            f" Version {version.name} stays published.",
            "Mend the data or the model, then run `dbt build`.",
            mart.place,
        )
        return
    missing = [
        node["name"]
        for node in evidence.tests(evidence.lineage(mart))
        if str(node["config"].get("severity", "error")).lower() == "error"
        and not _has_passed(evidence, node, version)
    ]
    if missing:
        yield Finding(
            f"Version {version.name} has not passed {_some(sorted(missing))}.",
            "Run `dbt build`.",
            mart.place,
        )


def _sources_fresh(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    sources = evidence.artifacts.manifest.get("sources", {})
    for unique_id in sorted(evidence.lineage(mart) & set(sources)):
        source = sources[unique_id]
        name = f"{source['source_name']}.{source['name']}"
        limit = (source.get("freshness") or {}).get("error_after") or {}
        if not limit.get("count") or not (source["loaded_at_field"] or source["loaded_at_query"]):
            yield Finding(
                f"Source {name} does not say how fresh it must be.",
                "Give it loaded_at_field and freshness: {error_after: ...} under config.",
                Place(
                    evidence.artifacts.project_dir,
                    evidence.artifacts.file_of(
                        source["package_name"], source["original_file_path"]
                    ),
                    (("sources", source["source_name"]), ("tables", source["name"])),
                ),
            )
        elif version is not None:
            loaded_at = version.sources.get(unique_id)
            if loaded_at is None:
                message = f"Version {version.name} does not say when source {name} was loaded."
                yield Finding(message, "Load it, then run `dbt build`.", mart.place)
                continue
            allowed = timedelta(**{f"{limit['period']}s": limit["count"]})
            age = evidence.now.replace(tzinfo=None) - loaded_at
            if age > allowed:
                yield Finding(
                    f"Source {name} was loaded at {loaded_at:%Y-%m-%d %H:%M} UTC,"
                    f" more than {limit['count']} {limit['period']}s ago.",
                    "Load it, then run `dbt build`.",
                    mart.place,
                )


def _described(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    bare = [column.name for column in mart.columns if not column.description]
    if not mart.description:
        message = "The model has no description, so nobody can find it."
        yield Finding(message, "Say in description what a row is.", mart.place)
    if bare:
        yield Finding(
            f"No description: {_some(bare)}.",
            "Describe each column, with its unit.",
            mart.place.at(("columns", bare[0])),
        )


def _owned(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if not mart.group:
        message, fix = "It is in no group, so nobody answers for it.", "Set group under config."
        yield Finding(message, fix, mart.place.at("config"))
    elif not mart.owner:
        message = f"Group '{mart.group}' has no owner."
        yield Finding(message, "Give it an owner with name or email.", mart.place.at("config"))


def _access_public(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    access = evidence.node(mart).get("access")
    if access != "public":
        yield Finding(
            f"Its access is {access}: its owner has not agreed that others build on it.",
            "Set access: public under config.",
            mart.place.at("config"),
        )


def _knowledge_time_declared(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    expected = mart.timestamp if mart.label is None else mart.label.known_at
    declared = evidence.node(mart)["config"].get("event_time")
    if expected and declared != expected:
        what = "a row's features became known" if mart.label is None else "the label became known"
        yield Finding(
            f"event_time is {declared or 'not set'}, and must be {expected}: when {what}.",
            f"Set event_time: {expected} under config.",
            mart.place.at("config"),
        )


def _no_label_upstream(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if mart.label is not None:
        return
    nodes = evidence.artifacts.manifest["nodes"]
    for unique_id in sorted(evidence.lineage(mart) - {mart.unique_id}):
        if unique_id not in nodes:
            continue
        has_feast, value = feast_meta(nodes[unique_id])
        if has_feast and isinstance(value, dict) and "label" in value:
            yield Finding(
                f"It is built on label mart '{nodes[unique_id]['alias']}', so it knows what is to"
                " be predicted.",
                "Build it on what the label mart is built on.",
                mart.place,
            )


# Generic tests that audit a label.
LABEL_AUDITS = ("label_coverage", "label_base_rate")


def _label_audited(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if mart.label is None:
        return
    place = mart.place.at(*FEAST, "label")
    if not mart.label.groups:
        yield Finding(
            "Its label names no groups, so nobody would see whom it leaves out.",
            "Add groups: [<column>, ...] under label: columns that divide the rows.",
            place,
        )
    tests = {node["test_metadata"]["name"] for node in _generic_tests(evidence, mart)}
    missing = [f"martfeast.{name}" for name in LABEL_AUDITS if name not in tests]
    if missing:
        yield Finding(
            "No thresholds are set for its coverage and base rate.",
            f"Add {' and '.join(missing)} to the tests of column {mart.label.column}.",
            mart.place.at(("columns", mart.label.column)),
        )


def _replayed(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    version = evidence.verdict(mart).version
    if version is None or _changed_since(evidence, mart, version.lineage):
        return  # which is what `published` is about
    if any(_knowledge_time_declared(evidence, mart)):
        return  # it comes first
    record = evidence.replays.get(mart.unique_id)
    fix = "Run `martfeast replay`."
    if record is None:
        yield Finding("No replay has shown that it never knew the future.", fix, mart.place)
        return
    manifest = evidence.artifacts.manifest
    changed = [
        unique_id.split(".", 2)[2]
        for unique_id in sorted(evidence.lineage(mart))
        if (manifest["nodes"].get(unique_id) or manifest["sources"][unique_id])["config"].get(
            "materialized"
        )
        != "ephemeral"
        and record.lineage.get(unique_id) != evidence.artifacts.replay_checksum(unique_id)
    ]
    if changed:
        message = (
            f"Code, knowledge time or variables of {_some(changed)} have changed since it was"
            " replayed."
        )
        yield Finding(message, fix, mart.place)
    elif record.failure:
        fix = f"Mend it; `martfeast replay --select {mart.name}` shows rows and sources."
        yield Finding(f"Its replay failed: {record.failure}.", fix, mart.place)


def _schema_compatible(evidence: Evidence, mart: Mart) -> Iterator[Finding]:
    if mart.label is not None:
        return
    types = {column.name: str(column.type) for column in mart.columns}
    keys = {name: types[name] for name in mart.entity_columns}
    exposures = {exposure.name: exposure for exposure in evidence.exposures}
    for service, views in evidence.registered.services.items():
        registered = views.get(mart.name)
        exposure = exposures.get(service)
        used = exposure.features_by_mart.get(mart.name) if exposure else list(registered or {})
        if registered is None or used is None:
            continue
        takes_all = exposure is None or mart.name in exposure.takes_all_of
        changes = []
        for name, type_ in registered.items():
            if name not in mart.features:
                if takes_all or name in used:
                    changes.append(f"feature {name} is gone")
            elif name in used and types[name] != type_:
                changes.append(f"feature {name} was {type_} and is {types[name]}")
        before = evidence.registered.keys.get(mart.name, keys)
        if before != keys:
            changes.append(f"its keys were {_pairs(before)} and are {_pairs(keys)}")
        if changes and exposure is None:
            yield Finding(
                f"Exposure '{service}' is registered with it and gone from dbt, and"
                f" {_some(changes)}.",
                "Put the exposure back; or, if nobody uses it, apply its removal before this one.",
                mart.place,
            )
        elif changes:
            yield Finding(
                f"Exposure '{service}' uses what is registered, and {_some(changes)}.",
                "Leave this model as it is and make the change in a new model version"
                " (versions: in its YAML), which the exposure can move to.",
                mart.place,
            )


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in sorted(values.items()))


def _some(items: list[str]) -> str:
    """Join up to three items; say how many more there are."""
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return "; ".join(items[:3]) + more


GOOD_ENOUGH = "Is the data good enough for feature engineering?"
FINDABLE = "Can people find it?"
BOUNDARY = "Where is the boundary between data and ML engineering?"
TRUTH = "Does it represent ground truth?"
HISTORY = "Do feature history, versions and sharing work?"

CRITERIA = (
    Criterion(
        "contract_enforced",
        BOUNDARY,
        "The mart's contract is enforced.",
        _contract_enforced,
    ),
    Criterion(
        "grain_tested_unique",
        GOOD_ENOUGH,
        "A test says that there is one row for a key and a moment.",
        _grain_tested_unique,
    ),
    Criterion(
        "keys_not_null",
        GOOD_ENOUGH,
        "Keys and timestamp are never null.",
        _keys_not_null,
    ),
    Criterion(
        "published",
        HISTORY,
        "A version is published that the code as it is now made, with the contract's columns.",
        _published,
        is_fixed=True,
    ),
    Criterion(
        "tests_passed",
        GOOD_ENOUGH,
        "Every test of severity error on the mart and its ancestors passed on its present rows,"
        " and they are the published version.",
        _tests_passed,
    ),
    Criterion(
        "sources_fresh",
        GOOD_ENOUGH,
        "The sources under it are as fresh as they must be.",
        _sources_fresh,
    ),
    Criterion(
        "described",
        FINDABLE,
        "The model and every column have a description.",
        _described,
    ),
    Criterion("owned", BOUNDARY, "It is in a group that has an owner.", _owned),
    Criterion("access_public", BOUNDARY, "Its access is public.", _access_public),
    Criterion(
        "knowledge_time_declared",
        TRUTH,
        "Its event_time is the column that says when a row became known.",
        _knowledge_time_declared,
    ),
    Criterion(
        "no_label_upstream",
        TRUTH,
        "It does not depend on a label mart.",
        _no_label_upstream,
    ),
    Criterion(
        "label_audited",
        TRUTH,
        "A label mart names groups, and has tests of its coverage and base rate.",
        _label_audited,
    ),
    Criterion(
        "replayed",
        TRUTH,
        "Built again as of past moments, by its present code, it never knew the future.",
        _replayed,
    ),
    Criterion(
        "schema_compatible",
        HISTORY,
        "It still has every feature that a registered exposure uses, with its type.",
        _schema_compatible,
    ),
)


def utc_now() -> datetime:
    """Return the present moment, UTC."""
    return datetime.now(UTC)
