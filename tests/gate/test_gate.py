"""The gate by the real commands: broken in a copy of a project, refused, and mended.

What the manifest alone decides is in test_criteria; here is what only dbt and Feast can show.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from martfeast.gate.report import criteria_table

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SERVICE = "overdue_prediction"
YAML, SQL, EXPOSURES = (
    "models/marts/_marts__models.yml",
    f"models/marts/{TITLES}.sql",
    "models/exposures.yml",
)


@dataclass(frozen=True)
class Break:
    """A change to the project, the dbt command after it, and what the gate then says.

    edits: file, old text, new text. subject: the mart. message: a part of what is said.
    """

    criterion: str
    subject: str
    edits: list[tuple[str, str, str]]
    message: str
    command: str = "build"


SOURCE = """
sources:
  - name: shelves
    schema: main
    config: {loaded_at_field: known_at, freshness: {error_after: {count: 1, period: day}}}
    tables:
      - name: checks
        config: {event_time: known_at}
"""

BREAKS = [
    Break(
        "published",
        TITLES,
        [(SQL, "copies_free as", "copies_free + 1 as")],
        f"The code of {TITLES} has changed since version VERSION was published ({TITLES} has"
        " changed since it was built). Run `dbt build`.",
        command="test",
    ),
    Break(
        "tests_passed",
        ACTIVITY,
        [("seeds/member_days.csv", ",0.75,", ",1.75,")],
        "Its present rows were held back: test overdue_share_is_a_share failed (1)."
        " Version VERSION stays published. Mend the data or the model, then run `dbt build`.",
    ),
    Break(
        "replayed",
        TITLES,
        [(SQL, "copies_free as", "copies_free + 0 as")],
        f"Code, knowledge time or variables of {TITLES} have changed since it was replayed."
        " Run `martfeast replay`.",
    ),
    Break(
        "sources_fresh",
        TITLES,
        [
            (SQL, "ref('shelf_checks')", "source('shelves', 'checks')"),
            ("models/groups.yml", "groups:", SOURCE + "\ngroups:"),
        ],
        "Source shelves.checks was loaded at 2026-03-03 08:00 UTC, more than 1 days ago.",
    ),
]


@pytest.fixture(scope="module")
def applied_library(built_library, tmp_path_factory):
    library = built_library.copy_to(tmp_path_factory.mktemp("applied") / "project")
    library.execute("create table checks as from shelf_checks")
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr
    return library


@pytest.fixture
def applied(applied_library, tmp_path):
    """A copy of the built and applied library, for one test to change."""
    return applied_library.copy_to(tmp_path / "project")


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.criterion)
def test_a_criterion_refuses_and_passes_again(applied, broken):
    library = applied
    version = library.published_mart(broken.subject)["version"]
    registry = library.registry.read_bytes()
    originals = {file: (library.path / file).read_text() for file, _, _ in broken.edits}
    for file, old, new in broken.edits:
        library.replace_in(file, old, new)
    library.dbt(broken.command)
    if broken.criterion == "sources_fresh":  # which runs other code
        library.martfeast("replay", cwd=library.path)

    refused = library.feast("apply")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    head, place, message = refused.stderr.splitlines()
    assert head == "martfeast: 1 problem; nothing was changed."
    assert place.endswith(f"  {broken.subject}  [{broken.criterion}]"), place
    assert broken.message.replace("VERSION", version) in message
    assert library.registry.read_bytes() == registry

    # Back to the code that was replayed: the record of it holds, and nothing is replayed again.
    for file, text in originals.items():
        (library.path / file).write_text(text)
    assert library.dbt("build").returncode == 0
    if broken.criterion == "sources_fresh":  # other code was replayed since
        library.replay()
    mended = library.feast("apply")
    assert mended.returncode == 0, mended.stderr


# Tests that the project defines anew


OWN_MACROS = {
    "not_null": "{% macro default__test_not_null(model, column_name) %}"
    "select 1 from {{ model }} where false{% endmacro %}",
    "unique_grain": "{% test unique_grain(model, columns) %}"
    "select 1 from {{ model }} where false{% endtest %}",
}


@pytest.mark.parametrize("name", OWN_MACROS)
def test_a_macro_that_takes_the_place_of_a_shipped_test_is_named(parsed, name):
    (parsed.path / "macros").mkdir()
    (parsed.path / "macros/own.sql").write_text(OWN_MACROS[name])
    # Under its package's name it would be the package's in any case.
    file = parsed.path / YAML
    file.write_text(file.read_text().replace("- martfeast.unique_grain", "- unique_grain"))
    assert parsed.dbt("parse").returncode == 0
    said = " ".join(parsed.martfeast("status", TITLES, cwd=parsed.path).stdout.split())
    assert f"test_{name} in macros/own.sql takes the place of what {name} is." in said
    assert ("grain_tested_unique: ok" in said) == (name == "not_null")
    assert ("keys_not_null: ok" in said) == (name == "unique_grain")


# A registered schema, and model versions


def set_versions(library) -> None:
    """Make title_availability a model with two versions: v1 as it was, v2 without waiting_days."""
    (library.path / SQL).rename(library.path / f"models/marts/{TITLES}_v1.sql")
    v1 = (library.path / f"models/marts/{TITLES}_v1.sql").read_text()
    v2 = v1.replace("    waiting_days,\n", "")
    (library.path / f"models/marts/{TITLES}_v2.sql").write_text(v2)
    library.replace_in(
        YAML,
        "      - name: shelf_mark\n        data_type: varchar\n"
        "        description: Where the title stands.\n"
        "        config: {meta: {feast: {feature: false}}}\n",
        "      - name: shelf_mark\n        data_type: varchar\n"
        "        description: Where the title stands.\n"
        "        config: {meta: {feast: {feature: false}}}\n"
        "    latest_version: 2\n    versions:\n"
        "      - {v: 1, deprecation_date: 2027-06-30}\n"
        "      - v: 2\n        columns:\n          - {include: all, exclude: [waiting_days]}\n",
    )


def drop_is_student(library) -> None:
    library.replace_in(f"models/marts/{ACTIVITY}.sql", "    is_student,\n", "")
    library.replace_in(
        YAML,
        "      - name: is_student\n        data_type: boolean\n"
        "        description: Whether the member is a student.\n",
        "",
    )


def test_a_feature_that_an_exposure_uses_stays_or_gets_a_new_model_version(applied):
    library = applied
    registry = library.registry.read_bytes()

    # Retyped, and listed by the exposure.
    library.replace_in(SQL, "cast(copies_free as integer)", "cast(copies_free as double)")
    library.replace_in(
        YAML,
        "- name: copies_free\n        data_type: integer",
        "- name: copies_free\n        data_type: double",
    )
    # Gone, and the exposure takes all of the mart.
    drop_is_student(library)
    assert library.dbt("build").returncode == 0
    library.replay()
    for command in ("plan", "apply"):
        refused = library.feast(command)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[0] == "martfeast: 2 problems; nothing was changed."
        for change in (
            "feature is_student is gone",
            "feature copies_free was Int32 and is Float64",
        ):
            assert (
                f"Exposure '{SERVICE}' uses what is registered, and {change}."
                " Leave this model as it is and make the change in a new model version"
            ) in refused.stderr
        assert library.registry.read_bytes() == registry


def test_a_renamed_exposure_does_not_let_a_used_feature_go(applied):
    library = applied
    drop_is_student(library)
    library.replace_in(EXPOSURES, f"name: {SERVICE}", "name: overdue_forecast")
    library.dbt("build", "--no-partial-parse")  # with it dbt keeps the old exposure beside the new
    refused = library.feast("plan")
    assert refused.returncode == 1
    assert (
        f"Exposure '{SERVICE}' is registered with it and gone from dbt, and feature is_student is"
        " gone"
    ) in refused.stderr


def test_two_versions_of_a_model_live_side_by_side(applied):
    library = applied
    set_versions(library)
    library.replace_in(EXPOSURES, "ref('title_availability')", "ref('title_availability', v=1)")
    library.replace_in(EXPOSURES, f"{TITLES}: [", f"{TITLES}_v1: [")
    said = library.said("build")
    assert said[0] == "release 2 in out/published: 2 of 4 marts have a new version"
    library.replay()
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr

    from feast import FeatureStore

    store = FeatureStore(str(library.path / "feature_repo"))
    views = {view.name: view for view in store.list_feature_views()}
    assert sorted(views) == [ACTIVITY, f"{TITLES}_v1", f"{TITLES}_v2"]
    assert views[f"{TITLES}_v1"].tags["dbt_version"] == "1"
    assert views[f"{TITLES}_v1"].tags["dbt_deprecation_date"].startswith("2027-06-30")
    assert views[f"{TITLES}_v2"].tags["dbt_version"] == "2"
    assert "waiting_days" not in {field.name for field in views[f"{TITLES}_v2"].features}
    service = store.get_feature_service(SERVICE)
    assert [p.name for p in service.feature_view_projections] == [f"{TITLES}_v1", ACTIVITY]

    # The exposure moves to the second version, and names what that has.
    library.replace_in(EXPOSURES, "v=1", "v=2")
    library.replace_in(EXPOSURES, f"{TITLES}_v1: [waiting_days, ", f"{TITLES}_v2: [")
    assert library.dbt("build").returncode == 0
    moved = library.feast("apply")
    assert moved.returncode == 0, moved.stderr


def test_status_as_json_says_what_apply_would(applied):
    library = applied
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.dbt("build")
    result = status(library, "--json")
    assert result.returncode == 1
    answer = json.loads(result.stdout)
    assert answer["is_ready"] is False
    assert answer["problems"] == []
    failed = [
        (mart["mart"], criterion, judgement["state"])
        for mart in answer["marts"]
        for criterion, judgement in mart["criteria"].items()
        if judgement["state"] != "pass"
    ]
    assert failed == [(ACTIVITY, "tests_passed", "fail")]
    assert {mart["mart"]: mart["is_ready"] for mart in answer["marts"]} == {
        ACTIVITY: False,
        LABELS: True,
        TITLES: True,
    }


# Settings and waivers


def edit_feast(library, mart: str, edit: Callable[[dict[str, Any]], object]) -> None:
    library.edit_manifest(
        lambda m: edit(m["nodes"][f"model.library.{mart}"]["config"]["meta"]["feast"])
    )


def bare_column(manifest: dict[str, Any]) -> None:
    manifest["nodes"][f"model.library.{TITLES}"]["columns"]["copies_free"]["description"] = ""


def status(library, *arguments: str):
    return library.martfeast("status", *arguments, cwd=library.path)


def said(result) -> str:
    """What was printed, as if the screen were wide."""
    return " ".join(result.stdout.split())


def test_a_criterion_lowered_to_a_warning_is_said_and_does_not_stop(library):
    library.replace_in(
        "dbt_project.yml",
        "    published_path: out/published",
        "    published_path: out/published\n    criteria: {described: warn}",
    )
    library.dbt("parse")
    library.edit_manifest(bare_column)
    result = status(library)
    assert result.returncode == 0, result.stdout
    assert f"warning: {TITLES} [described] No description: copies_free." in said(result)
    applied = library.feast("apply")
    assert applied.returncode == 0
    assert f"martfeast: warning: {TITLES} [described] No description" in applied.stderr


def test_a_waiver_holds_until_its_last_day_and_is_shown(library):
    library.edit_manifest(bare_column)
    waiver = {"criterion": "described", "reason": "Being renamed.", "until": "2999-12-31"}
    edit_feast(library, TITLES, lambda feast: feast.update(waivers=[waiver]))
    result = status(library)
    assert result.returncode == 0
    shown = f"waived: {TITLES} [described] No description: copies_free. Waived: Being renamed."
    assert f"{shown} (until 2999-12-31)" in said(result)
    assert "Waived: Being renamed. (until 2999-12-31)" in said(status(library, TITLES))

    edit_feast(library, TITLES, lambda feast: feast["waivers"][0].update(until="2026-01-31"))
    result = status(library)
    assert result.returncode == 1
    assert "The waiver ended with 2026-01-31." in said(result)
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("waiver", "rule"),
    [
        ({"criterion": "described", "until": "2999-12-31"}, "gives no reason"),
        ({"criterion": "described", "reason": "x"}, "has no last day"),
        ({"criterion": "described", "reason": "x", "until": "soon"}, "has no last day"),
        ({"criterion": "decsribed", "reason": "x", "until": "2999-12-31"}, "mean 'described'?"),
        ({"criterion": "published", "reason": "x", "until": "2999-12-31"}, "'published' is not"),
    ],
)
def test_a_waiver_that_cannot_be_right(library, waiver, rule):
    edit_feast(library, TITLES, lambda feast: feast.update(waivers=[waiver]))
    result = status(library)
    assert result.returncode == 2
    assert rule in said(result)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("described: ignore", "'ignore' is not a level. Write error or warn."),
        ("descripted: warn", "Did you mean 'described'?"),
        ("published: warn", "'published' is not a criterion that can be set."),
    ],
)
def test_a_setting_that_cannot_be_right(library, setting, message):
    library.replace_in(
        "dbt_project.yml",
        "    published_path: out/published",
        f"    published_path: out/published\n    criteria: {{{setting}}}",
    )
    library.dbt("parse")
    result = status(library)
    assert result.returncode == 2
    assert "dbt_project.yml:15" in result.stdout
    assert message in said(result)


def test_waivers_are_in_the_readiness_mart(library):
    library.replace_in(
        YAML,
        "          ttl: 7 days\n",
        "          ttl: 7 days\n          waivers:\n"
        "            - {criterion: owned, reason: Team is being formed., until: 2999-12-31}\n",
    )
    library.dbt("build")
    assert library.query(
        f"select waivers from main_martfeast.mart_readiness where mart = '{ACTIVITY}'"
    ) == [("owned until 2999-12-31: Team is being formed.",)]


# The command


def test_status_of_a_project_that_is_ready(built_library):
    result = status(built_library)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["mart", "state", "criteria"]
    assert [line.split() for line in lines[1:4]] == [
        [name, "ok", "16", "of", "16", "pass"] for name in (LABELS, ACTIVITY, TITLES)
    ]
    assert lines[-1] == "ready: 2 feature views, 1 services, 1 label marts; release 1"
    assert "on trust: when rows were known of loan_returns; loans" in lines
    assert "on trust loan_returns; loans" in said(status(built_library, LABELS))


def test_status_of_one_mart(built_library):
    result = status(built_library, TITLES)
    assert result.returncode == 0
    record = built_library.published_mart(TITLES)
    assert f"version {record['version']}, 4 rows, known from 2026-03-01 08:00:00" in said(result)
    assert "vouched 4 of 4 tests passed" in said(result)
    assert "on trust" not in said(result)  # seeds say when their rows were known
    # A path is not broken: it is there to be copied.
    assert built_library.published / record["path"] in map(Path, result.stdout.split())
    unknown = status(built_library, "title_availabilty")
    assert unknown.returncode == 2
    assert "There is no mart 'title_availabilty'. Did you mean 'title_availability'?" in (
        unknown.stderr
    )


def test_status_before_anything_is_applied_does_not_import_feast(library):
    command = ["status", "--project-dir", str(library.path)]
    (library.path / "feature_repo/feature_store.yaml").unlink()
    code = f"from martfeast.cli import main; main({command})"
    imports = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ready: 2 feature views" in imports.stdout
    imported = {line.split("|")[-1].strip() for line in imports.stderr.splitlines()}
    assert "martfeast.declaration" in imported
    heavy = ("feast", "pandas", "dbt", "duckdb", "scipy", "jinja2")
    assert not {name for name in imported if name.split(".")[0] in heavy}


def test_the_docs_list_every_criterion_as_it_is():
    assert criteria_table() in (Path(__file__).parents[2] / "docs/gate.md").read_text()


def test_a_mart_with_capital_letters_in_its_names(library):
    """From the build to the feature view; DuckDB and files know it as it is written."""
    name = "Title_Availability"
    (library.path / SQL).rename(library.path / f"models/marts/{name}.sql")
    library.replace_in(f"models/marts/{name}.sql", "as copies_free", "as Free_Copies")
    for file in (YAML, EXPOSURES):
        text = (library.path / file).read_text()
        text = text.replace(TITLES, name).replace("copies_free", "Free_Copies")
        (library.path / file).write_text(text)
    library.execute(f"drop table {TITLES}")  # dbt asks for it: to DuckDB it is the same table
    assert library.dbt("build").returncode == 0
    library.replay()
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr
    assert f"Created feature view {name}" in applied.stdout
    shown = library.martfeast("status", cwd=library.path).stdout
    assert f"{name}     ok" in shown


def test_a_contract_that_the_model_does_not_keep_is_not_mended_by_building_again(library):
    """Without an enforced contract dbt builds what YAML does not have."""
    library.replace_in(YAML, "      contract: {enforced: true}\n", "")
    library.replace_in(YAML, "- name: is_student", "- name: is_pupil")
    for _ in range(2):
        assert library.dbt("build").returncode == 0
        said = " ".join(library.martfeast("status", cwd=library.path).stdout.split())
        assert "differs from the contract: is_pupil is missing; is_student is not in" in said
        assert f"the YAML and models/marts/{ACTIVITY}.sql do: take is_pupil out of columns" in said
    library.replace_in(YAML, "- name: is_pupil", "- name: is_student")
    assert library.dbt("parse").returncode == 0
    said = library.martfeast("status", cwd=library.path).stdout
    assert "differs from the contract" not in said
