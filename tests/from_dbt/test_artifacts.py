"""What dbt left behind is read as it is, or refused with the next step."""

import os
import shutil
from typing import Any

import pytest
from martfeast import DeclarationError, Problem, read_declaration
from martfeast.declaration.project import read_project

Json = dict[str, Any]
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SERVICE = "overdue_prediction"


def problems(library) -> list[Problem]:
    try:
        return read_project(library.path).problems
    except DeclarationError as error:
        return error.problems


def rules(library) -> list[tuple[str, str]]:
    return [(problem.rule, problem.subject) for problem in problems(library)]


def feast(node: Json) -> Json:
    return node["config"]["meta"]["feast"]


def test_all_problems_at_once_with_advice_and_lines(parsed):
    parsed.edit_manifest(
        lambda m: [
            feast(m["nodes"][f"model.library.{ACTIVITY}"]).update(ttl="2 dyas"),
            feast(m["exposures"][f"exposure.library.{SERVICE}"])["features"].update(
                {TITLES: ["copies_fre"]}
            ),
            m["nodes"][f"model.library.{TITLES}"]["columns"]["waiting_days"].update(
                data_type="decimal(9,2)"
            ),
        ]
    )
    parsed.replace_in("models/marts/_marts__models.yml", "7 days", "2 dyas", keep_time=True)
    report = str(DeclarationError(problems(parsed))).splitlines()
    assert report[0] == "martfeast: 3 problems; nothing was changed."

    def line_of(file: str, text: str, after: str) -> int:
        lines = (parsed.path / file).read_text().splitlines()
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
def test_unreadable_project(parsed, content):
    (parsed.path / "dbt_project.yml").write_text(content)
    assert rules(parsed) == [("project-unreadable", "dbt project")]


def test_dbt_never_ran(parsed):
    shutil.rmtree(parsed.path / "target")
    (problem,) = problems(parsed)
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
def test_a_manifest_that_is_none(parsed, content, rule):
    version = "https://schemas.getdbt.com/dbt/manifest/v12.json"
    (parsed.path / "target/manifest.json").write_text(content.replace("V12", version))
    assert rules(parsed) == [(rule, "dbt artifacts")]


def stale_files(library) -> list[str | None]:
    found = problems(library)
    assert {problem.rule for problem in found} == {"manifest-stale"}
    return [problem.file for problem in found]


def test_stale_when_a_models_sql_changed_whatever_its_time(parsed):
    file = f"models/marts/{ACTIVITY}.sql"
    parsed.replace_in(file, "member_days", "member_weeks", keep_time=True)
    assert stale_files(parsed) == [file]


def test_stale_when_a_model_is_gone(parsed):
    (parsed.path / f"models/marts/{TITLES}.sql").unlink()
    assert stale_files(parsed) == [f"models/marts/{TITLES}.sql"]


def test_stale_when_yaml_or_unknown_sql_is_newer(parsed):
    parsed.replace_in("models/groups.yml", "Lending desk", "Desk")
    (parsed.path / "models/new.sql").write_text("select 1 as a")
    parsed.replace_in("dbt_project.yml", "out/published", "out/elsewhere")
    found = problems(parsed)
    assert [p.file for p in found if p.rule == "manifest-stale"] == [
        "dbt_project.yml",
        "models/groups.yml",
        "models/new.sql",
    ]


def test_not_stale_when_sql_was_only_touched_or_its_ends_changed(parsed):
    path = parsed.path / f"models/marts/{TITLES}.sql"
    path.write_text("\n" + path.read_text() + "\n\n")
    os.utime(path)
    assert problems(parsed) == []


def test_a_disabled_model_is_no_mart_and_not_stale(parsed):
    def disable(manifest: Json) -> None:
        node = manifest["nodes"].pop(f"model.library.{LABELS}")
        manifest["disabled"][node["unique_id"]] = [node]
        exposure = manifest["exposures"][f"exposure.library.{SERVICE}"]
        exposure["config"]["meta"]["feast"].pop("label")

    parsed.edit_manifest(disable)
    assert list(read_project(parsed.path).declaration.marts) == [ACTIVITY, TITLES]


def test_a_mart_in_a_package(parsed):
    """Its files are where dbt installs packages: below the project."""
    package = parsed.path / "dbt_packages/shelves/models"
    package.mkdir(parents=True)
    (parsed.path / f"models/marts/{TITLES}.sql").rename(package / f"{TITLES}.sql")
    (package / "_models.yml").write_text(f"models:\n  - name: x\n  - name: {TITLES}\n")

    def move(manifest: Json) -> None:
        node = manifest["nodes"][f"model.library.{TITLES}"]
        node["package_name"] = "shelves"
        node["original_file_path"] = f"models/{TITLES}.sql"
        node["patch_path"] = "shelves://models/_models.yml"

    parsed.edit_manifest(move)
    place = read_project(parsed.path).declaration.marts[TITLES].place
    assert (place.file, place.line) == ("dbt_packages/shelves/models/_models.yml", 3)
