"""Each criterion on made evidence: one thing amiss, and exactly that criterion says so.

The evidence is what a build and a replay of the library leave, made by hand from its manifest. That
the real commands leave it so is shown in test_gate.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from martfeast.declaration.project import declare
from martfeast.from_dbt.artifacts import Artifacts, read_artifacts
from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.graph import parse_graph
from martfeast.gate.criterion import Finding
from martfeast.gate.evidence import Evidence, Registered
from martfeast.gate.judge import judge
from martfeast.problems import ProblemLog
from martfeast.published.release import Release
from martfeast.published.replays import ReplayRecord
from martfeast.published.verified import file_sha256
from pyarrow import parquet

Json = dict[str, Any]
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
MARTS = (LABELS, ACTIVITY, TITLES)
SERVICE = "overdue_prediction"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
SOURCE = "source.library.shelves.checks"
LABEL_UPSTREAM = f"model.library.{LABELS}"


def unique_id(mart: str) -> str:
    return f"model.library.{mart}"


@dataclass
class Made:
    """What a build and a replay of a manifest leave, for a test to change.

    manifest: what dbt says now. verdicts, replays: by mart. registered: in Feast.
    """

    artifacts: Artifacts
    manifest: Json
    folder: Path
    verdicts: dict[str, Json] = field(default_factory=dict)
    replays: dict[str, Json] = field(default_factory=dict)
    registered: Registered = field(default_factory=Registered)

    def build_and_replay(self) -> None:
        """Publish every mart as the manifest is, with all tests passed, and replay it."""
        artifacts = self.read()
        graph = artifacts.graph
        project = declare(artifacts, Release(), ProblemLog())
        for mart in project.declaration.marts.values():
            fields = [(column.name, column.type.arrow) for column in mart.columns if column.type]
            schema = pa.schema([*fields, ("published_at", pa.timestamp("us"))])
            lineage = graph.upstream(mart.unique_id)
            tests = [test for test in graph.tests_of(lineage) if test.blocks]
            self.verdicts[mart.name] = {
                "unique_id": mart.unique_id,
                "version": "v1",
                "published_at": "2026-03-31T00:00:00Z",
                "built_by": "invocation",
                "code_checksum": code_checksum(graph, mart.unique_id),
                "columns": [],
                "row_count": 0,
                "first_known_at": None,
                "last_known_at": None,
                "content_hash": "",
                "tests": [
                    {
                        "test": test.unique_id,
                        "status": "pass",
                        "code_checksum": code_checksum(graph, test.unique_id),
                    }
                    for test in tests
                ],
                "sources": [
                    {"source": name, "loaded_at": "2026-03-31 12:00:00"}
                    for name in lineage
                    if name in graph.sources
                ],
                "lineage": [
                    {
                        "node": name,
                        "code_checksum": code_checksum(graph, name),
                        "compiled_checksum": "x",
                        "variables": "{}",
                    }
                    for name in lineage
                    if name in graph.models
                ],
                "held_back": [],
                "warnings": [],
            }
            self.publish(mart.name, schema.empty_table())
            self.replays[mart.name] = {
                "lineage": {name: artifacts.replay_checksum(name) for name in lineage},
                "compiled": {name: "x" for name in lineage if name.startswith("model.")},
                "replayed_at": "2026-03-31 00:00:00",
                "asked": 24,
                "cuts": 24,
                "enough": 24,
                "known_from": "2026-03-01 00:00:00",
                "known_until": "2026-03-31 00:00:00",
                "compared": 100,
                "withheld": 100,
                "failure": "",
                "warnings": [],
                "trusted": {},
                "built_on": "duckdb",
                "replayed_on": "duckdb",
            }

    def read(self) -> Artifacts:
        graph = parse_graph(copy.deepcopy(self.manifest), Path("manifest.json"))
        return replace(self.artifacts, graph=graph)

    def judge(self) -> dict[tuple[str, str], str]:
        """Return what is said, by mart and criterion, of those that do not pass."""
        return {
            name: " ".join(finding.message for finding in findings)
            for name, findings in self.findings().items()
        }

    def findings(self) -> dict[tuple[str, str], list[Finding]]:
        """Return the findings, by mart and criterion, of those that do not pass."""
        project = declare(self.read(), self.release(), ProblemLog())
        replays = {
            unique_id(name): ReplayRecord.model_validate(record)
            for name, record in self.replays.items()
        }
        evidence = Evidence(project, replays, self.registered, NOW)
        return {
            (one.mart.name, name): list(judgement.findings)
            for one in judge(evidence, ProblemLog())
            for name, judgement in one.judgements.items()
            if judgement.state != "pass"
        }

    def release(self) -> Release:
        release = {"release_number": 1, "marts": list(self.verdicts.values())}
        return Release.model_validate(release, context={"folder": self.folder})

    def publish(self, mart: str, rows: pa.Table) -> None:
        """Write the file of a mart's version, and what a release says of it."""
        path = self.folder / "marts" / mart / "v1.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(rows, path)
        self.verdicts[mart].update(
            path=f"marts/{mart}/v1.parquet",
            byte_count=path.stat().st_size,
            sha256=file_sha256(path),
        )

    def file(self, mart: str) -> Path:
        """Return the file of a mart's version."""
        return self.folder / self.verdicts[mart]["path"]

    # Parts of the manifest

    def model(self, name: str) -> Json:
        return self.manifest["nodes"][unique_id(name)]

    def config(self, name: str) -> Json:
        return self.model(name)["config"]

    def feast(self, name: str) -> Json:
        return self.config(name)["meta"]["feast"]

    def tests(self, name: str, test: str) -> list[Json]:
        """Return a mart's generic tests of a name."""
        return [
            node
            for node in self.manifest["nodes"].values()
            if node.get("attached_node") == unique_id(name)
            and (node.get("test_metadata") or {}).get("name") == test
        ]

    def remove_tests(self, name: str, test: str) -> None:
        for node in self.tests(name, test):
            del self.manifest["nodes"][node["unique_id"]]

    def add_macro(self, name: str, package: str = "library") -> None:
        """Add a macro of the project's own, or of a package."""
        made = copy.deepcopy(self.manifest["macros"]["macro.martfeast.test_unique_grain"])
        made["unique_id"] = f"macro.{package}.{name}"
        made.update(name=name, package_name=package, original_file_path="macros/own.sql")
        self.manifest["macros"][made["unique_id"]] = made
        for node in self.manifest["nodes"].values():  # dbt prefers the project's own
            macros = node["depends_on"].get("macros", [])
            macros[:] = [made["unique_id"] if one.endswith(f".{name}") else one for one in macros]

    def add_test(self, name: str, test: str, column: str) -> None:
        """Add a generic test of a column; it may be written quoted, as dbt does it."""
        made = copy.deepcopy(self.tests(name, "not_null")[0])
        made["unique_id"] = f"test.library.{test}_{name}_{len(self.manifest['nodes'])}"
        made["test_metadata"].update(name=test, kwargs={"column_name": column})
        self.manifest["nodes"][made["unique_id"]] = made

    def read_source(self, name: str) -> None:
        """Let a mart read a source that must be loaded daily."""
        seed = copy.deepcopy(self.manifest["nodes"]["seed.library.shelf_checks"])
        self.manifest["sources"][SOURCE] = {
            **{key: seed[key] for key in ("original_file_path", "columns", "description")},
            "unique_id": SOURCE,
            "resource_type": "source",
            "package_name": "library",
            "source_name": "shelves",
            "name": "checks",
            "identifier": "checks",
            "database": "library",
            "schema": "main",
            "relation_name": '"library"."main"."checks"',
            "loaded_at_field": "known_at",
            "freshness": {"error_after": {"count": 1, "period": "day"}},
            "config": {"event_time": "known_at"},
            "meta": {},
        }
        self.model(name)["depends_on"]["nodes"].append(SOURCE)

    def read_source_of_any_age(self, name: str) -> None:
        self.read_source(name)
        self.manifest["sources"][SOURCE].update(freshness=None)


Edit = Callable[[Made], object]


@pytest.fixture(scope="session")
def artifacts(parsed_library) -> Artifacts:
    return read_artifacts(parsed_library.path)


@pytest.fixture
def made(artifacts, manifest, tmp_path) -> Made:
    return Made(artifacts, copy.deepcopy(manifest), tmp_path)


def no_edit(_: Made) -> None:
    pass


def test_what_is_in_order_passes(made):
    made.build_and_replay()
    assert made.judge() == {}


WEEK_ON = "2026-04-07 00:00:01"


@pytest.mark.parametrize(
    ("materialized", "version", "is_due"),
    [
        ("incremental", {"last_known_at": "2026-04-07 00:00:00"}, False),
        ("incremental", {"last_known_at": WEEK_ON}, True),
        ("incremental", {"published_at": "2026-04-07T00:00:00Z"}, False),
        ("incremental", {"published_at": "2026-04-07T00:00:01Z"}, True),
        ("table", {"last_known_at": WEEK_ON, "published_at": "2026-04-09T00:00:00Z"}, False),
    ],
)
def test_increments_are_compared_with_a_full_build_every_week(made, materialized, version, is_due):
    made.config(TITLES).update(materialized=materialized, incremental_strategy="append")
    made.build_and_replay()
    made.verdicts[TITLES].update({"last_known_at": "2026-03-31 00:00:00", **version})
    said = made.judge()
    assert ((TITLES, "increments_equal_full") in said) == is_due
    if is_due:
        message = said[TITLES, "increments_equal_full"]
        assert f"{TITLES} added rows by increments" in message
        assert "compared up to 2026-03-31 00:00:00" in message
    # Who was not replayed at all is told that, once.
    made.replays.pop(TITLES)
    assert [name for mart, name in made.judge() if mart == TITLES] == ["replayed"]


def give_a_natural_key(made: Made) -> None:
    """Let the label mart's rows be told apart by a loan's number, which is no entity."""
    columns = made.model(LABELS)["columns"]
    columns["loan_id"] = {**copy.deepcopy(columns["title_id"]), "name": "loan_id"}
    columns["loan_id"]["config"]["meta"] = columns["loan_id"]["meta"] = {}
    made.remove_tests(LABELS, "unique_grain")
    made.add_test(LABELS, "unique", "loan_id")


def test_a_label_mart_may_have_a_key_of_its_own(made):
    """It must not be null then, and an entity may be: the row then has no features from there."""
    give_a_natural_key(made)
    made.build_and_replay()
    message = "loan_id may be null, and no row can be looked up by a null."
    assert made.judge() == {(LABELS, "keys_not_null"): message}
    made.add_test(LABELS, "not_null", "loan_id")
    made.build_and_replay()
    assert made.judge() == {}


@pytest.mark.parametrize(
    ("engine", "file_format", "said"),
    [
        ("duckdb", None, None),
        ("duckdb", "parquet", None),
        ("spark", "delta", None),
        ("spark", "parquet", "spark, in tables of parquet, enforces none."),
        ("spark", None, "spark enforces none."),
        ("postgres", None, "postgres enforces none."),
    ],
)
def test_a_constraint_keeps_a_key_where_its_engine_enforces_it(made, engine, file_format, said):
    made.manifest["metadata"]["adapter_type"] = engine
    mart = made.model(TITLES)
    made.remove_tests(TITLES, "not_null")
    for name in ("branch_code", "title_id", "known_at"):
        mart["columns"][name]["constraints"] = [{"type": "not_null"}]
    mart["config"]["file_format"] = file_format
    made.build_and_replay()
    found = made.judge()
    if said is None:
        assert found == {}
    else:
        message = "branch_code, title_id, known_at may be null, and no row can be looked up by a"
        message += f" null. The constraint in its contract does not count: {said}"
        assert found == {(TITLES, "keys_not_null"): message}


def test_no_key_of_its_own_tells_a_feature_marts_rows_apart(made):
    """The join takes one row for a key and moment, whatever else tells rows apart."""
    made.remove_tests(TITLES, "unique_grain")
    made.add_test(TITLES, "unique", "shelf_mark")
    made.build_and_replay()
    assert list(made.judge()) == [(TITLES, "grain_tested_unique")]


@pytest.mark.parametrize(
    ("macro", "criteria"),
    [
        ("test_unique_grain", {"grain_tested_unique"}),
        ("duckdb__test_unique_grain", {"grain_tested_unique"}),
        ("test_not_null", {"keys_not_null"}),
        ("default__test_not_null", {"keys_not_null"}),
        ("get_where_subquery", {"grain_tested_unique", "keys_not_null"}),
        ("default__get_test_sql", {"grain_tested_unique", "keys_not_null"}),
        ("materialization_test_duckdb", {"grain_tested_unique", "keys_not_null"}),
        ("test_relationships", set()),
    ],
)
def test_a_test_that_is_defined_anew_shows_nothing_of_keys(made, macro, criteria):
    made.add_macro(macro)
    made.build_and_replay()
    said = {criterion: message for (_, criterion), message in made.judge().items()}
    assert set(said) == criteria
    for message in said.values():
        assert f"does not count: macro {macro} in macros/own.sql takes the place" in message


def test_the_packages_that_define_tests_may(made):
    made.add_macro("test_not_null", package="dbt")
    made.add_macro("default__test_unique", package="dbt_duckdb")
    made.build_and_replay()
    assert made.judge() == {}


@pytest.mark.parametrize("column", ["is_overdue", "label_known_at", "no_label_reason"])
def test_what_becomes_known_later_tells_no_rows_apart(made, column):
    made.remove_tests(LABELS, "unique_grain")
    made.add_test(LABELS, "unique", column)
    made.build_and_replay()
    assert list(made.judge()) == [(LABELS, "grain_tested_unique")]


def quote_columns(made: Made, name: str) -> None:
    """Have a mart's columns as dbt has them with ``quote: true``: quoted in their tests."""
    for test in ("not_null", "unique"):
        for node in made.tests(name, test):
            kwargs = node["test_metadata"]["kwargs"]
            kwargs["column_name"] = f'"{kwargs["column_name"]}"'
    for node in made.tests(name, "unique_grain"):
        kwargs = node["test_metadata"]["kwargs"]
        kwargs["columns"] = [f'"{column}"' for column in kwargs["columns"]]


def test_columns_that_are_quoted_are_the_same_columns(made):
    for name in MARTS:
        quote_columns(made, name)
    made.build_and_replay()
    assert made.judge() == {}


# What the manifest says decides: built, replayed and judged with the edit.
DECLARED: list[tuple[str, str, Edit, str]] = [
    (
        "contract_enforced",
        TITLES,
        lambda m: m.config(TITLES).update(contract={"enforced": False}),
        "Feast's types come from the contract, and it is not enforced.",
    ),
    (
        "grain_tested_unique",
        TITLES,
        lambda m: m.remove_tests(TITLES, "unique_grain"),
        "No test of severity error says that a key and moment have one row.",
    ),
    (
        "grain_tested_unique",
        TITLES,
        lambda m: m.tests(TITLES, "unique_grain")[0]["config"].update(severity="warn"),
        "No test of severity error says that a key and moment have one row.",
    ),
    (
        "grain_tested_unique",
        TITLES,
        lambda m: m.tests(TITLES, "unique_grain")[0]["config"].update(where="copies_free > 0"),
        "No test of severity error says that a key and moment have one row.",
    ),
    (
        "keys_not_null",
        TITLES,
        lambda m: m.remove_tests(TITLES, "not_null"),
        "branch_code, title_id, known_at may be null, and no row can be looked up by a null.",
    ),
    (
        "described",
        TITLES,
        lambda m: m.model(TITLES).update(description=" "),
        "The model has no description, so nobody can find it.",
    ),
    (
        "described",
        TITLES,
        lambda m: m.model(TITLES)["columns"]["copies_free"].update(description=""),
        "No description: copies_free.",
    ),
    (
        "owned",
        TITLES,
        lambda m: (m.config(TITLES).update(group=None), m.model(TITLES).update(group=None)),
        "It is in no group, so nobody answers for it.",
    ),
    (
        "access_public",
        TITLES,
        lambda m: (
            m.config(TITLES).update(access="private"),
            m.model(TITLES).update(access="private"),
        ),
        "Its access is private: its owner has not agreed that others build on it.",
    ),
    (
        "knowledge_time_declared",
        LABELS,
        lambda m: m.config(LABELS).update(event_time="predicted_at"),
        "event_time is predicted_at, and must be label_known_at: when the label became known.",
    ),
    (
        "knowledge_time_declared",
        TITLES,
        lambda m: m.config(TITLES).update(event_time=None),
        "event_time is not set, and must be known_at: when a row's features became known.",
    ),
    (
        "no_label_upstream",
        TITLES,
        lambda m: m.model(TITLES)["depends_on"]["nodes"].append(LABEL_UPSTREAM),
        f"It is built on label mart '{LABELS}', so it knows what is to be predicted.",
    ),
    (
        "label_audited",
        LABELS,
        lambda m: m.feast(LABELS)["label"].update(groups=[]),
        "Its label names no groups, so nobody would see whom it leaves out.",
    ),
    (
        "label_audited",
        LABELS,
        lambda m: m.remove_tests(LABELS, "label_base_rate"),
        "No thresholds are set for its coverage and base rate.",
    ),
    (
        "sources_fresh",
        TITLES,
        lambda m: m.read_source_of_any_age(TITLES),
        "Source shelves.checks does not say how fresh it must be.",
    ),
]

# What was recorded decides: built, replayed, and then something is amiss.
RECORDED: list[tuple[str, str, Edit, str]] = [
    (
        "published",
        TITLES,
        lambda m: m.model(TITLES)["checksum"].update(checksum="other"),
        f"The code of {TITLES} has changed since version v1 was published.",
    ),
    (
        "published",
        TITLES,
        lambda m: m.verdicts.pop(TITLES),
        "No version of it is published.",
    ),
    (
        "published",
        TITLES,
        lambda m: m.file(TITLES).unlink(),
        f"{TITLES}/v1.parquet does not exist.",
    ),
    (
        "published",
        TITLES,
        lambda m: m.publish(TITLES, pa.table({"known_at": [1]})),
        "Version v1 differs from the contract: branch_code is missing;",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.verdicts[TITLES]["lineage"][-1].update(compiled_checksum="y"),
        f"{TITLES} ran other SQL when version v1 was built than was replayed",
    ),
    (
        "tests_passed",
        TITLES,
        lambda m: m.verdicts[TITLES]["tests"][0].update(variables='{"bound": 5000}'),
        "other variables than the project has: bound was 5000 and is not set.",
    ),
    (
        "tests_passed",
        TITLES,
        lambda m: m.verdicts[TITLES].update(held_back=["test a failed (1)"]),
        "Its present rows were held back: test a failed (1). Version v1 stays published.",
    ),
    (
        "tests_passed",
        TITLES,
        lambda m: m.verdicts[TITLES]["tests"][0].update(status="fail"),
        "Version v1 has not passed ",
    ),
    (
        "tests_passed",
        TITLES,
        lambda m: m.verdicts[TITLES]["tests"].pop(),
        "Version v1 has not passed ",
    ),
    (
        "tests_passed",
        TITLES,
        lambda m: m.verdicts[TITLES]["tests"][0].update(code_checksum="other"),
        "Version v1 has not passed ",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.replays.pop(TITLES),
        "No replay has shown that it never knew the future.",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.replays[TITLES].update(failure="at 3 of 24 cuts it knew the future"),
        "Its replay failed: at 3 of 24 cuts it knew the future.",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.replays[TITLES].update(asked=7),
        "It was replayed at 7 chosen moments, and the project asks for 8"
        " (vars.martfeast.replay.cuts).",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.replays[TITLES].update(cuts=4),
        "It was replayed at 4 moments that withheld facts under it and compared rows of it, and 8"
        " are needed.",
    ),
    (
        "replayed",
        TITLES,
        lambda m: (
            m.replays[TITLES].update(cuts=0, enough=0, known_until="2026-03-01 00:00:00"),
            m.verdicts[TITLES].update(
                first_known_at="2026-03-01 00:00:00", last_known_at="2026-03-09 08:00:00"
            ),
        ),
        "It was replayed at 0 moments, all that its data had then, up to 2026-03-01 00:00:00; now"
        " it goes up to 2026-03-09 08:00:00 and can show more.",
    ),
    (
        "replayed",
        TITLES,
        lambda m: m.replays[TITLES]["lineage"].update({"seed.library.shelf_checks": "other"}),
        "Code, knowledge time or variables of shelf_checks have changed since it was replayed.",
    ),
    (
        "schema_compatible",
        TITLES,
        lambda m: setattr(
            m, "registered", Registered({SERVICE: {TITLES: {"copies_free": "String"}}})
        ),
        f"Exposure '{SERVICE}' uses what is registered, and feature copies_free was String and is"
        " Int32.",
    ),
    (
        "schema_compatible",
        TITLES,
        lambda m: setattr(m, "registered", Registered({"gone": {TITLES: {"stars": "Int64"}}})),
        "Exposure 'gone' is registered with it and gone from dbt, and feature stars is gone.",
    ),
    (
        "schema_compatible",
        TITLES,
        lambda m: setattr(
            m,
            "registered",
            Registered({SERVICE: {TITLES: {}}}, {TITLES: {"title_id": "Int64"}}),
        ),
        "its keys were title_id Int64 and are branch_code String, title_id Int32.",
    ),
]
LOADED: list[tuple[Edit, str]] = [
    (
        lambda m: m.verdicts[TITLES]["sources"][0].update(loaded_at="2026-03-30 23:59:59"),
        "Source shelves.checks was loaded at 2026-03-30 23:59 UTC, more than 1 days ago.",
    ),
    (
        lambda m: m.verdicts[TITLES]["sources"][0].update(loaded_at=None),
        "Version v1 does not say when source shelves.checks was loaded.",
    ),
]


@pytest.mark.parametrize(("criterion", "mart", "edit", "message"), DECLARED)
def test_what_is_declared_decides(made, criterion, mart, edit, message):
    edit(made)
    made.build_and_replay()
    said = made.judge()
    assert list(said) == [(mart, criterion)]
    assert message in said[mart, criterion]


@pytest.mark.parametrize(("criterion", "mart", "edit", "message"), RECORDED)
def test_what_is_recorded_decides(made, criterion, mart, edit, message):
    made.build_and_replay()
    edit(made)
    said = made.judge()
    assert list(said) == [(mart, criterion)]
    assert message in said[mart, criterion]


SHARE = "test.library.overdue_share_is_a_share"
KEY_TESTS = {"grain_tested_unique", "keys_not_null"}
SEES_LESS = (KEY_TESTS, set[str](), {*KEY_TESTS, "tests_passed"}, {"tests_passed"})


def configure(**config: object) -> Callable[[Made, list[Json]], None]:
    def change(_: Made, tests: list[Json]) -> None:
        for test in tests:
            test["config"].update(config)

    return change


def delete(made: Made, tests: list[Json]) -> None:
    for test in tests:
        del made.manifest["nodes"][test["unique_id"]]


def rename(made: Made, tests: list[Json]) -> None:
    delete(made, tests)
    for test in tests:
        test["unique_id"] += "_renamed"
        made.manifest["nodes"][test["unique_id"]] = test


def edit_file(made: Made, tests: list[Json]) -> None:
    for test in tests:
        test["checksum"] = {"name": "sha256", "checksum": "other"}


# What was done to tests: before the build, the criteria of keys and of other tests that are not
# met; after it, the same.
BLIND: list[tuple[str, Callable[[Made, list[Json]], None], tuple[set[str], ...]]] = [
    ("`where`", configure(where="false"), SEES_LESS),
    ("`limit`", configure(limit=1), SEES_LESS),
    ("`error_if`", configure(error_if=">5000"), SEES_LESS),
    ("`fail_calc`", configure(fail_calc="0"), SEES_LESS),
    ("`severity: warn`", configure(severity="warn"), (KEY_TESTS, set(), KEY_TESTS, set())),
    ("disabled or deleted", delete, (KEY_TESTS, set(), KEY_TESTS, set())),
    ("renamed", rename, (set(), set(), {"tests_passed"}, {"tests_passed"})),
    ("changed", edit_file, (set(), set(), {"tests_passed"}, {"tests_passed"})),
]


@pytest.mark.parametrize(("what", "change", "expected"), BLIND)
def test_what_becomes_of_a_test_is_in_the_docs(made, what, change, expected):
    """A line of the table in docs/gate.md: for a test of keys and for another one."""
    start = copy.deepcopy(made.manifest)
    found = []
    for is_late in (False, True):
        for of_keys in (True, False):
            made.manifest = copy.deepcopy(start)
            keys = [*made.tests(ACTIVITY, "unique_grain"), *made.tests(ACTIVITY, "not_null")]
            tests = keys if of_keys else [made.manifest["nodes"][SHARE]]
            for column in made.model(ACTIVITY)["columns"].values():
                column["constraints"] = []  # of the contract, which keep keys too
            if is_late:
                made.build_and_replay()
            change(made, tests)
            if not is_late:
                made.build_and_replay()
            found.append({criterion for mart, criterion in made.judge() if mart == ACTIVITY})
    assert tuple(found) == expected
    said = [", ".join(f"`{name}`" for name in sorted(one)) or "nothing" for one in expected]
    line = f"| {what} | {' | '.join(said)} |"
    assert line in (Path(__file__).parents[2] / "docs/gate.md").read_text()


@pytest.mark.parametrize(
    ("edit", "fix"),
    [
        (
            lambda columns: columns.pop("waiting_days"),
            "add waiting_days to columns, or take it out of the model.",
        ),
        (
            lambda columns: columns.update(stars={**columns["waiting_days"], "name": "stars"}),
            "take stars out of columns, or select it in the model.",
        ),
        (
            lambda columns: columns.update(
                Waiting_Days={**columns.pop("waiting_days"), "name": "Waiting_Days"}
            ),
            "write Waiting_Days as waiting_days in columns.",
        ),
        (
            lambda columns: columns["waiting_days"].update(data_type="bigint"),
            "cast waiting_days to bigint in the model, or correct its data_type, for it is float"
            " there.",
        ),
    ],
)
def test_a_contract_that_the_model_does_not_keep_says_which_to_change(made, edit, fix):
    """Building again cannot help: the code is what it was."""
    made.build_and_replay()
    edit(made.model(TITLES)["columns"])
    (finding,) = made.findings()[TITLES, "published"]
    assert finding.fix == (
        f"Run `dbt build`. If they still differ, the YAML and models/marts/{TITLES}.sql do: {fix}"
    )


@pytest.mark.parametrize(("edit", "message"), LOADED)
def test_a_source_that_is_not_loaded_in_time(made, edit, message):
    made.read_source(TITLES)
    made.build_and_replay()
    assert made.judge() == {}
    edit(made)
    assert made.judge() == {(TITLES, "sources_fresh"): message}
