"""Each rule on its own: one mistake in the library's real manifest gives exactly that problem."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from martfeast import DeclarationError, Problem, read_declaration
from martfeast.declaration.project import read_project
from martfeast.gate.assess import assess

Json = dict[str, Any]
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SERVICE = "overdue_prediction"


def problems(library) -> list[Problem]:
    """What is wrong with the declaration itself; the criteria are judged elsewhere."""
    try:
        return read_project(library.path).problems
    except DeclarationError as error:
        return error.problems


def rules(library) -> list[tuple[str, str]]:
    return [(problem.rule, problem.subject) for problem in problems(library)]


def model(manifest: Json, name: str) -> Json:
    return manifest["nodes"][f"model.library.{name}"]


def mart(manifest: Json, name: str) -> Json:
    return model(manifest, name)["config"]["meta"]["feast"]


def column(manifest: Json, name: str, column_name: str) -> Json:
    return model(manifest, name)["columns"][column_name]


def column_meta(manifest: Json, name: str, column_name: str) -> Json:
    return column(manifest, name, column_name)["config"]["meta"].setdefault("feast", {})


def exposure(manifest: Json) -> Json:
    return manifest["exposures"]["exposure.library.overdue_prediction"]


def service(manifest: Json) -> Json:
    return exposure(manifest)["config"]["meta"]["feast"]


def set_type(name: str, column_name: str, data_type: str) -> Callable[[Json], object]:
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
        lambda m: [m["exposures"].clear(), without_feast(model(m, LABELS))],
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
        lambda m: m["exposures"].update(other={**exposure(m), "name": "Overdue_Prediction"}),
        [("name-duplicate", SERVICE)],
    ),
]


@pytest.mark.parametrize(("edit", "expected"), MARTS)
def test_a_mistake_in_a_mart(library, edit, expected):
    library.edit_manifest(edit)
    assert rules(library) == expected


@pytest.mark.parametrize(("edit", "expected"), EXPOSURES)
def test_a_mistake_in_an_exposure(library, edit, expected):
    library.edit_manifest(edit)
    assert rules(library) == expected


def test_what_is_right_gives_no_problem(library):
    # An exposure of type ml without meta.feast is none of martfeast's business.
    library.edit_manifest(
        lambda m: m["exposures"]["exposure.library.reading_report"].update(type="ml")
    )
    assert list(read_declaration(library.path).exposures) == [SERVICE]


def test_all_problems_at_once_with_advice_and_lines(library):
    library.edit_manifest(
        lambda m: [
            mart(m, ACTIVITY).update(ttl="2 dyas"),
            service(m)["features"].update({TITLES: ["copies_fre"]}),
            set_type(TITLES, "waiting_days", "decimal(9,2)")(m),
        ]
    )
    library.replace_in("models/marts/_marts__models.yml", "7 days", "2 dyas", keep_time=True)
    with pytest.raises(DeclarationError) as raised:
        read_declaration(library.path)
    report = str(raised.value).splitlines()
    assert report[0] == "martfeast: 3 problems; nothing was changed."

    def line_of(file: str, text: str, after: str) -> int:
        lines = (library.path / file).read_text().splitlines()
        start = next(number for number, line in enumerate(lines) if after in line)
        return next(n for n, line in enumerate(lines[start:], start + 1) if text in line)

    marts, exposures = "models/marts/_marts__models.yml", "models/exposures.yml"
    ttl = line_of(marts, "ttl:", ACTIVITY)
    waiting_type = line_of(marts, "data_type", "waiting_days")
    listed = line_of(exposures, f"{TITLES}:", "features:")
    assert report[1:] == [
        f"  {marts}:{ttl}  {ACTIVITY}.ttl  [ttl-unreadable]",
        "    '2 dyas' is not a duration. Write a number and a unit, for example: 2 days",
        f"  {marts}:{waiting_type}  {TITLES}.waiting_days  [type-unsupported]",
        "    Feast cannot keep decimal(9,2) without loss. Cast it to double, or to bigint if it has"
        " no decimals, and correct data_type; or, if it is no feature, mark it feature: false.",
        f"  {exposures}:{listed}  {SERVICE}.features.{TITLES}  [feature-unknown]",
        "    'title_availability' has no feature 'copies_fre'. Did you mean 'copies_free'?",
    ]


def test_no_project(tmp_path):
    with pytest.raises(DeclarationError, match=r"\[project-missing\]"):
        read_declaration(tmp_path)


@pytest.mark.parametrize("content", ["a: [", "just text", "\tx: 1"])
def test_unreadable_project(library, content):
    (library.path / "dbt_project.yml").write_text(content)
    assert rules(library) == [("project-unreadable", "dbt project")]


def test_dbt_never_ran(library):
    shutil.rmtree(library.path / "target")
    (problem,) = problems(library)
    assert problem.rule == "artifacts-missing"
    assert problem.fix == "Run `dbt build`."


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{", "manifest-unreadable"),
        ("\x00", "manifest-unreadable"),
        ("[]", "manifest-version"),
        ('{"metadata": {"dbt_schema_version": "manifest/v1.json"}}', "manifest-version"),
        ('{"metadata": {"dbt_schema_version": "V12"}}', "manifest-unreadable"),
    ],
)
def test_a_manifest_that_is_none(library, content, rule):
    version = "https://schemas.getdbt.com/dbt/manifest/v12.json"
    (library.path / "target/manifest.json").write_text(content.replace("V12", version))
    assert rules(library) == [(rule, "dbt artifacts")]


def stale_files(library) -> list[str | None]:
    found = problems(library)
    assert {problem.rule for problem in found} == {"manifest-stale"}
    return [problem.file for problem in found]


def test_stale_when_a_models_sql_changed_whatever_its_time(library):
    file = f"models/marts/{ACTIVITY}.sql"
    library.replace_in(file, "member_days", "member_weeks", keep_time=True)
    assert stale_files(library) == [file]


def test_stale_when_a_model_is_gone(library):
    (library.path / f"models/marts/{TITLES}.sql").unlink()
    assert stale_files(library) == [f"models/marts/{TITLES}.sql"]


def test_stale_when_yaml_or_unknown_sql_is_newer(library):
    library.replace_in("models/groups.yml", "Lending desk", "Desk")
    (library.path / "models/new.sql").write_text("select 1 as a")
    library.replace_in("dbt_project.yml", "out/published", "out/elsewhere")
    found = problems(library)
    assert [p.file for p in found if p.rule == "manifest-stale"] == [
        "dbt_project.yml",
        "models/groups.yml",
        "models/new.sql",
    ]


def test_not_stale_when_sql_was_only_touched_or_its_ends_changed(library):
    path = library.path / f"models/marts/{TITLES}.sql"
    path.write_text("\n" + path.read_text() + "\n\n")
    os.utime(path)
    read_declaration(library.path)


def test_a_disabled_model_is_no_mart_and_not_stale(library):
    def disable(manifest: Json) -> None:
        node = manifest["nodes"].pop(f"model.library.{LABELS}")
        manifest["disabled"][node["unique_id"]] = [node]
        service(manifest).pop("label")

    library.edit_manifest(disable)
    assert list(read_declaration(library.path).marts) == [ACTIVITY, TITLES]


def test_a_mart_in_a_package(library):
    """Its files are where dbt installs packages: below the project."""
    package = library.path / "dbt_packages/shelves/models"
    package.mkdir(parents=True)
    (library.path / f"models/marts/{TITLES}.sql").rename(package / f"{TITLES}.sql")
    (package / "_models.yml").write_text(f"models:\n  - name: x\n  - name: {TITLES}\n")

    def move(manifest: Json) -> None:
        node = model(manifest, TITLES)
        node["package_name"] = "shelves"
        node["original_file_path"] = f"models/{TITLES}.sql"
        node["patch_path"] = "shelves://models/_models.yml"

    library.edit_manifest(move)
    place = read_declaration(library.path).marts[TITLES].place
    assert (place.file, place.line) == ("dbt_packages/shelves/models/_models.yml", 3)


def refusals(library) -> list[Problem]:
    assessment = assess(read_project(library.path))
    assert assessment.problems == []
    return assessment.refusals


def titles_file(library) -> Path:
    return read_declaration(library.path).marts[TITLES].path


def test_published_file_missing(library):
    titles_file(library).unlink()
    (problem,) = refusals(library)
    assert (problem.rule, problem.subject) == ("published", TITLES)
    assert "does not exist" in problem.message


@pytest.mark.parametrize("keep", [0, 3, 400, -1])
def test_published_file_cut_short(library, keep):
    path = titles_file(library)
    path.write_bytes(path.read_bytes()[:keep])
    (problem,) = refusals(library)
    assert (problem.rule, problem.subject) == ("published", TITLES)
    assert "is not a whole Parquet file" in problem.message


def test_published_file_is_a_folder(library):
    path = titles_file(library)
    path.unlink()
    path.mkdir()
    (problem,) = refusals(library)
    assert "is not a whole Parquet file" in problem.message


def test_published_columns_differ(library):
    duckdb.execute(
        "copy (select 'north' as branch_code, 1::bigint as title_id, now() as known_at,"
        " 1 as copies_free, 1::float as waiting_days, 1 as aisle,"
        " timestamp '2026-01-01' as published_at)"
        f" to '{titles_file(library)}' (format parquet)"
    )
    (problem,) = refusals(library)
    assert problem.rule == "published"
    assert problem.message.split("contract: ", 1)[1] == (
        "shelf_mark is missing; aisle is not in the contract; title_id is int64 where the contract"
        " says int32; known_at is timestamp[us, tz=UTC] where the contract says timestamp[us]."
    )


def test_a_file_published_without_published_at(library):
    path = titles_file(library)
    duckdb.execute(
        f"copy (select * exclude (published_at) from '{path}') to '{path}' (format parquet)"
    )
    (problem,) = refusals(library)
    assert "published_at is missing" in problem.message


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 1}', '{"format": 2, "marts": []}', "\x00"]
)
def test_a_damaged_release_says_so_and_how_to_mend_it(library, content):
    (library.published / "current.json").write_text(content)
    (problem,) = problems(library)
    assert problem.rule == "release-unreadable"
    assert problem.fix == "Run `dbt build`: it writes the file anew."
