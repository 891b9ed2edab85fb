"""Each rule on its own: one mistake in the library's real manifest gives exactly that problem."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from martfeast.declaration.declared import Batch
from martfeast.declaration.project import Project, declare
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.from_dbt.graph import parse_graph
from martfeast.problems import ProblemLog
from martfeast.published.release import Release

Json = dict[str, Any]
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SERVICE = "overdue_prediction"


@pytest.fixture(scope="session")
def declared(parsed_library, manifest) -> Callable[[Callable[[Json], object]], Project]:
    """What is declared by the library's manifest with an edit; no file is read."""
    artifacts = read_artifacts(parsed_library.path)

    def declare_edited(edit: Callable[[Json], object]) -> Project:
        edited = copy.deepcopy(manifest)
        edit(edited)
        graph = parse_graph(edited, Path("manifest.json"))
        return declare(replace(artifacts, graph=graph), Release(), ProblemLog())

    return declare_edited


def rules(project: Project) -> list[tuple[str, str]]:
    return [(problem.rule, problem.subject) for problem in project.problems]


def model(manifest: Json, name: str) -> Json:
    return manifest["nodes"][f"model.library.{name}"]


def mart(manifest: Json, name: str) -> Json:
    return model(manifest, name)["config"]["meta"]["feast"]


def column(manifest: Json, name: str, column_name: str) -> Json:
    return model(manifest, name)["columns"][column_name]


def column_meta(manifest: Json, name: str, column_name: str) -> Json:
    return column(manifest, name, column_name)["config"]["meta"].setdefault("feast", {})


def microbatch(manifest: Json, time: Json) -> None:
    """Let dbt make a mart by the day, two days back, and the mart say something of its time."""
    model(manifest, ACTIVITY)["config"].update(
        materialized="incremental",
        incremental_strategy="microbatch",
        batch_size="day",
        begin="2026-03-01",
        lookback=2,
    )
    mart(manifest, ACTIVITY).update(time)


def exposure(manifest: Json) -> Json:
    return manifest["exposures"]["exposure.library.overdue_prediction"]


def service(manifest: Json) -> Json:
    return exposure(manifest)["config"]["meta"]["feast"]


def set_type(name: str, column_name: str, data_type: str | None) -> Callable[[Json], object]:
    return lambda m: column(m, name, column_name).update(data_type=data_type)


def rename(name: str, old: str, new: str) -> Callable[[Json], None]:
    def edit(manifest: Json) -> None:
        columns = model(manifest, name)["columns"]
        renamed = {
            new if key == old else key: {**value, "name": new if key == old else key}
            for key, value in columns.items()
        }
        model(manifest, name)["columns"] = renamed

    return edit


def without_feast(node: Json) -> None:
    node["config"]["meta"].pop("feast")
    node["meta"].pop("feast", None)


def without_labels(manifest: Json) -> None:
    """Take the exposures out, and what makes the labels a mart."""
    manifest["exposures"].clear()
    without_feast(model(manifest, LABELS))


def without_marts(manifest: Json) -> None:
    """Take the marts out, with all that depends on them."""
    manifest["exposures"].clear()
    manifest["unit_tests"].clear()
    marts = {f"model.library.{name}" for name in (ACTIVITY, TITLES, LABELS)}
    for name, node in list(manifest["nodes"].items()):
        if name in marts or marts.intersection(node["depends_on"].get("nodes", [])):
            del manifest["nodes"][name]


# A mistake, and every problem it gives as (rule, subject).
MARTS = [
    (lambda m: mart(m, ACTIVITY).update(tll="2 days"), [("unknown-key", f"{ACTIVITY}.tll")]),
    (lambda m: mart(m, LABELS).update(ttl="2 days"), [("unknown-key", f"{LABELS}.ttl")]),
    (
        lambda m: mart(m, LABELS)["label"].update(colunm="x"),
        [("unknown-key", f"{LABELS}.label.colunm")],
    ),
    (
        lambda m: column_meta(m, ACTIVITY, "member_id").update(entitty="x"),
        [("unknown-key", f"{ACTIVITY}.member_id.entitty")],
    ),
    (
        lambda m: mart(m, ACTIVITY).update(online="yes"),
        [("wrong-value", f"{ACTIVITY}.online")],
    ),
    (lambda m: mart(m, LABELS).update(timestamp=7), [("wrong-value", f"{LABELS}.timestamp")]),
    (lambda m: mart(m, LABELS).update(label="is_late"), [("wrong-value", f"{LABELS}.label")]),
    (
        lambda m: mart(m, LABELS)["label"].update(known_at=""),
        [("wrong-value", f"{LABELS}.label.known_at")],
    ),
    (
        lambda m: column(m, ACTIVITY, "is_student")["config"]["meta"].update(feast="no"),
        [("wrong-value", f"{ACTIVITY}.is_student")],
    ),
    (
        lambda m: mart(m, LABELS).pop("timestamp"),
        [("timestamp-missing", f"{LABELS}.timestamp")],
    ),
    (
        lambda m: mart(m, LABELS).update(timestamp="predicted_on"),
        [("column-not-in-contract", f"{LABELS}.timestamp")],
    ),
    (
        lambda m: mart(m, ACTIVITY).update(created="written_at"),
        [("column-not-in-contract", f"{ACTIVITY}.created")],
    ),
    (
        lambda m: mart(m, LABELS)["label"].update(column="is_late"),
        [("column-not-in-contract", f"{LABELS}.label.column")],
    ),
    (
        lambda m: mart(m, LABELS)["label"].update(known_at="known"),
        [("column-not-in-contract", f"{LABELS}.label.known_at")],
    ),
    (
        lambda m: mart(m, LABELS)["label"].update(missing_reason="reason"),
        [("column-not-in-contract", f"{LABELS}.label.missing_reason")],
    ),
    (
        lambda m: mart(m, TITLES).update(created="shelf_mark"),
        [("not-a-timestamp", f"{TITLES}.created")],
    ),
    (
        set_type(ACTIVITY, "known_at", "timestamptz"),
        [("not-a-timestamp", f"{ACTIVITY}.timestamp")],
    ),
    (
        set_type(LABELS, "label_known_at", "date"),
        [("not-a-timestamp", f"{LABELS}.label.known_at")],
    ),
    *(
        (
            lambda m, groups=groups: mart(m, LABELS)["label"].update(groups=groups),
            [(rule, f"{LABELS}.label.groups")],
        )
        for groups, rule in (
            ("branch_code", "wrong-value"),
            (["branch"], "column-not-in-contract"),
            (["is_overdue"], "group-is-the-label"),
            (["no_label_reason"], "group-is-the-label"),
            (["predicted_at"], "group-type-unsupported"),
        )
    ),
    (
        set_type(LABELS, "is_overdue", "varchar"),
        [("label-type-unsupported", f"{LABELS}.is_overdue")],
    ),
    (
        lambda m: [
            rename(LABELS, "no_label_reason", "Split")(m),
            mart(m, LABELS)["label"].update(missing_reason="Split"),
        ],
        [("name-reserved", f"{LABELS}.Split")],
    ),
    (
        lambda m: mart(m, LABELS)["label"].pop("known_at"),
        [("label-incomplete", f"{LABELS}.label.known_at")],
    ),
    (
        set_type(TITLES, "copies_free", None),
        [("data-type-missing", f"{TITLES}.copies_free")],
    ),
    *(
        (
            set_type(TITLES, "copies_free", name),
            [("type-unsupported", f"{TITLES}.copies_free")],
        )
        for name in (
            "decimal(18,3)",
            "HUGEINT",
            "timestamp with time zone",
            "date",
            "smallint",
            "integer[][]",
            "timestamp[]",
            "struct(a integer)",
        )
    ),
    (
        set_type(LABELS, "is_overdue", "decimal"),
        [("type-unsupported", f"{LABELS}.is_overdue")],
    ),
    (
        set_type(ACTIVITY, "member_id", "double"),
        [
            ("entity-type-unsupported", f"{ACTIVITY}.member_id"),
            ("entity-two-types", f"{ACTIVITY}.member_id"),
        ],
    ),
    (
        lambda m: column_meta(m, ACTIVITY, "member_id").update(feature=False),
        [("entity-and-feature", f"{ACTIVITY}.member_id")],
    ),
    (
        lambda m: column_meta(m, TITLES, "title_id").update(entity="branch"),
        [
            ("entity-two-join-keys", f"{TITLES}.title_id"),
            ("key-of-two-entities", f"{SERVICE}.features.{TITLES}"),
        ],
    ),
    (
        set_type(TITLES, "title_id", "bigint"),
        [("entity-two-types", f"{TITLES}.title_id")],
    ),
    (
        lambda m: column_meta(m, TITLES, "title_id").update(entity="Title"),
        [("name-duplicate", f"{TITLES}.title_id")],
    ),
    (
        lambda m: column_meta(m, LABELS, "no_label_reason").update(entity="a loan"),
        [("name-unusable", f"{LABELS}.no_label_reason")],
    ),
    (
        lambda m: column_meta(m, ACTIVITY, "member_id").pop("entity"),
        [
            ("entity-missing", ACTIVITY),
            ("feature-duplicate", f"{SERVICE}.features.{ACTIVITY}"),
        ],
    ),
    (
        lambda m: [
            column_meta(m, ACTIVITY, name).update(feature=False)
            for name in model(m, ACTIVITY)["columns"]
            if name != "member_id"
        ],
        [("feature-missing", ACTIVITY)],
    ),
    *(
        (lambda m, ttl=ttl: mart(m, ACTIVITY).update(ttl=ttl), [(rule, f"{ACTIVITY}.ttl")])
        for ttl, rule in (
            ("2 dyas", "ttl-unreadable"),
            ("-1 days", "ttl-unreadable"),
            (2, "ttl-unreadable"),
            ("99999999999999 weeks", "ttl-out-of-range"),
            ("0 hours", "ttl-out-of-range"),
            ("0.0000000001 days", "ttl-out-of-range"),
        )
    ),
    *(
        (lambda m, time=time: mart(m, ACTIVITY).update(time), [(rule, f"{ACTIVITY}.{key}")])
        for time, rule, key in (
            ({"start": "last year"}, "start-unreadable", "start"),
            ({"start": "2024-02-30"}, "start-unreadable", "start"),
            ({"schedule": "daily"}, "schedule-unreadable", "schedule"),
            ({"schedule": "0 24 * * *"}, "schedule-unreadable", "schedule"),
            ({"schedule": "*/0 * * * *"}, "schedule-unreadable", "schedule"),
            ({"schedule": "0 5-2 * * *"}, "schedule-unreadable", "schedule"),
            ({"schedule": "0 0 0 * *"}, "schedule-unreadable", "schedule"),
            ({"batch": {"size": "week"}}, "batch-size-unknown", "batch"),
            ({"batch": {"lateness": "soon"}}, "lateness-unreadable", "batch"),
            ({"batch": {"lateness": -1}}, "lateness-unreadable", "batch"),
            ({"batch": {"sise": "day"}}, "unknown-key", "batch.sise"),
            ({"batch": "day"}, "wrong-value", "batch"),
            ({"materialize": "everything"}, "materialize-unknown", "materialize"),
        )
    ),
    *(
        (lambda m, time=time: microbatch(m, time), [(rule, f"{ACTIVITY}.{key}")])
        for time, rule, key in (
            ({"start": "2026-03-02"}, "start-differs", "start"),
            ({"batch": {"size": "hour"}}, "batch-size-differs", "batch"),
            ({"batch": {"lateness": "3 days"}}, "lateness-not-looked-back", "batch"),
        )
    ),
    *(
        (rename(ACTIVITY, "is_student", name), [(rule, f"{ACTIVITY}.{name}")])
        for name, rule in (
            ("weekday_y", "name-reserved"),
            ("__student", "name-reserved"),
            ("event_timestamp", "name-reserved"),
            ("created_timestamp", "name-reserved"),
            ("entity_row_id", "name-reserved"),
            ("RN", "name-reserved"),
            ("published_at", "name-reserved"),
            ("is student", "name-unusable"),
            ("a:b", "name-unusable"),
        )
    ),
    (
        lambda m: model(m, TITLES).update(alias="Member_Activity_Daily"),
        [
            ("name-duplicate", ACTIVITY),
            ("mart-unknown", f"{SERVICE}.features.{TITLES}"),
        ],
    ),
    (
        lambda m: m["nodes"]["seed.library.member_days"]["config"].update(meta={"feast": {}}),
        [("not-a-model", "member_days")],
    ),
    (
        without_labels,
        [
            ("mart-not-declared", f"{LABELS}.member_id"),
            ("mart-not-declared", f"{LABELS}.branch_code"),
            ("mart-not-declared", f"{LABELS}.title_id"),
        ],
    ),
    (
        lambda m: without_marts(m),
        [("nothing-declared", "dbt project")],
    ),
]
EXPOSURES = [
    (lambda m: service(m).update(lable={}), [("unknown-key", f"{SERVICE}.lable")]),
    (lambda m: service(m).update(features=[]), [("wrong-value", f"{SERVICE}.features")]),
    (lambda m: service(m).pop("features"), [("features-missing", f"{SERVICE}.features")]),
    (
        lambda m: service(m)["features"].update({ACTIVITY: "every"}),
        [("wrong-value", f"{SERVICE}.features.{ACTIVITY}")],
    ),
    (
        lambda m: service(m)["features"].update(member_activity="all"),
        [("mart-unknown", f"{SERVICE}.features.member_activity")],
    ),
    (
        lambda m: without_feast(model(m, TITLES)),
        [
            ("mart-not-declared", f"{TITLES}.branch_code"),
            ("mart-not-declared", f"{TITLES}.title_id"),
            ("mart-not-declared", f"{TITLES}.shelf_mark"),
            ("mart-unknown", f"{SERVICE}.features.{TITLES}"),
        ],
    ),
    (
        lambda m: service(m)["features"].update({ACTIVITY: ["loan_count"]}),
        [("feature-unknown", f"{SERVICE}.features.{ACTIVITY}")],
    ),
    (
        lambda m: service(m)["features"].update({TITLES: ["shelf_mark"]}),
        [("feature-unknown", f"{SERVICE}.features.{TITLES}")],
    ),
    (
        lambda m: service(m)["features"].update({TITLES: ["copies_free", "copies_free"]}),
        [("feature-duplicate", f"{SERVICE}.features.{TITLES}")],
    ),
    (
        lambda m: rename(ACTIVITY, "loan_count_30d", "Copies_Free")(m),
        [
            ("feature-duplicate", f"{SERVICE}.features.{ACTIVITY}"),
        ],
    ),
    (
        lambda m: rename(ACTIVITY, "is_student", "is_overdue")(m),
        [
            ("feature-duplicate", f"{SERVICE}.features.{ACTIVITY}"),
        ],
    ),
    (
        lambda m: exposure(m)["depends_on"]["nodes"].remove(f"model.library.{TITLES}"),
        [("lineage-incomplete", f"{SERVICE}.features.{TITLES}")],
    ),
    (
        lambda m: exposure(m)["depends_on"]["nodes"].remove(f"model.library.{LABELS}"),
        [("lineage-incomplete", f"{SERVICE}.label.mart")],
    ),
    (
        lambda m: service(m)["features"].update({LABELS: "all"}),
        [("label-mart-as-features", f"{SERVICE}.features.{LABELS}")],
    ),
    (
        lambda m: service(m)["label"].update(mart=TITLES),
        [("feature-mart-as-label", f"{SERVICE}.label.mart")],
    ),
    (
        lambda m: service(m)["label"].update(mart="loan_label"),
        [("mart-unknown", f"{SERVICE}.label.mart")],
    ),
    (
        lambda m: service(m)["label"].pop("mart"),
        [("label-incomplete", f"{SERVICE}.label")],
    ),
    (
        lambda m: service(m)["label"].update(column="is_late"),
        [("label-column-differs", f"{SERVICE}.label.column")],
    ),
    (
        lambda m: column_meta(m, LABELS, "branch_code").pop("entity"),
        [("label-entity-missing", f"{SERVICE}.label")],
    ),
    (
        lambda m: column_meta(m, ACTIVITY, "member_id").update(entity="reader"),
        [("key-of-two-entities", f"{SERVICE}.features.{ACTIVITY}")],
    ),
    (
        lambda m: service(m).update(drift={"treshold": 1}),
        [("unknown-key", f"{SERVICE}.drift.treshold")],
    ),
    (
        lambda m: service(m).update(drift={"threshold": "much"}),
        [("wrong-value", f"{SERVICE}.drift.threshold")],
    ),
    (
        lambda m: service(m).update(drift={"features": {"copies_free": 0}}),
        [("wrong-value", f"{SERVICE}.drift.copies_free")],
    ),
    (
        lambda m: service(m).update(drift={"features": {"copies": 0.5}}),
        [("feature-unknown", f"{SERVICE}.drift.features")],
    ),
    (lambda m: service(m).update(license=1), [("wrong-value", f"{SERVICE}.license")]),
    (
        lambda m: rename(ACTIVITY, "is_student", "split")(m),
        [("feature-duplicate", f"{SERVICE}.features.{ACTIVITY}")],
    ),
    (
        lambda m: rename(ACTIVITY, "is_student", "no_label_reason")(m),
        [("feature-duplicate", f"{SERVICE}.features.{ACTIVITY}")],
    ),
    (
        lambda m: exposure(m).update(type="dashboard"),
        [("exposure-type", f"{SERVICE}.type")],
    ),
    (
        lambda m: exposure(m).update(name="overdue-prediction"),
        [("name-unusable", "overdue-prediction")],
    ),
    (
        lambda m: m["exposures"].update(
            other={**exposure(m), "name": "Overdue_Prediction", "unique_id": "other"}
        ),
        [("name-duplicate", SERVICE)],
    ),
]


@pytest.mark.parametrize(("edit", "expected"), MARTS)
def test_a_mistake_in_a_mart(declared, edit, expected):
    assert rules(declared(edit)) == expected


@pytest.mark.parametrize(("edit", "expected"), EXPOSURES)
def test_a_mistake_in_an_exposure(declared, edit, expected):
    assert rules(declared(edit)) == expected


def test_a_mart_is_called_as_its_table_is_and_referred_to_as_its_model_is(declared):
    (problem,) = declared(lambda m: model(m, TITLES).update(alias="titles")).problems
    assert problem.message.endswith(f"of model '{TITLES}' that is 'titles'.")
    assert problem.fix == "Write titles."

    def edit(m):
        model(m, TITLES).update(alias="titles_v2", version=2)
        service(m)["features"]["titles_v2"] = service(m)["features"].pop(TITLES)
        exposure(m)["depends_on"]["nodes"].remove(f"model.library.{TITLES}")

    (problem,) = declared(edit).problems
    assert problem.fix == f"Add ref('{TITLES}', v=2) to depends_on."


def test_what_is_right_gives_no_problem(declared):
    # An exposure of type ml without meta.feast is none of martfeast's business.
    project = declared(
        lambda m: m["exposures"]["exposure.library.reading_report"].update(type="ml")
    )
    assert rules(project) == []
    assert list(project.declaration.exposures) == [SERVICE]
    assert list(project.declaration.marts) == [LABELS, ACTIVITY, TITLES]


@pytest.mark.parametrize(
    ("edit", "start", "size", "lateness"),
    [
        (lambda m: None, None, None, None),
        (lambda m: microbatch(m, {}), "2026-03-01", "day", timedelta(days=2)),
        (
            lambda m: microbatch(
                m, {"start": "2026-03-01", "batch": {"size": "day", "lateness": "36 hours"}}
            ),
            "2026-03-01",
            "day",
            timedelta(hours=36),
        ),
        (
            lambda m: mart(m, ACTIVITY).update(
                {
                    "start": datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2))),
                    "schedule": "*/15,30 6-18/2 1 1 0,7",
                    "batch": {"size": "month", "lateness": "0 days"},
                    "materialize": "changed",
                }
            ),
            "2026-03-01",
            "month",
            timedelta(),
        ),
        (lambda m: mart(m, LABELS).update({"batch": {}}), None, "day", timedelta(days=1)),
    ],
)
def test_what_a_mart_says_of_its_time(declared, edit, start, size, lateness):
    project = declared(edit)
    assert rules(project) == []
    marts = project.declaration.marts
    time = marts[LABELS if marts[LABELS].time.batch else ACTIVITY].time
    assert time.start == (datetime.fromisoformat(start) if start else None)
    assert time.batch == (Batch(size, lateness) if size else None)
