"""What dbt left behind is read as it is, or refused with the next step."""

import os
import shutil
import threading
import time
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


def test_all_problems_at_once_with_advice_and_lines(parsed):
    marts, exposures = "models/marts/_marts__models.yml", "models/exposures.yml"
    waiting_days = "- name: waiting_days\n        data_type: "
    parsed.replace_in(marts, "7 days", "2 dyas")
    parsed.replace_in(marts, f"{waiting_days}float", f"{waiting_days}decimal(9,2)")
    parsed.replace_in(
        exposures, f"{TITLES}: [waiting_days, copies_free]", f"{TITLES}: [copies_fre]"
    )
    assert parsed.dbt("parse").returncode == 0
    report = str(DeclarationError(problems(parsed))).splitlines()
    assert report[0] == "martfeast: 3 problems; nothing was changed."

    def line_of(file: str, text: str, after: str) -> int:
        lines = (parsed.path / file).read_text().splitlines()
        start = next(number for number, line in enumerate(lines) if after in line)
        return next(n for n, line in enumerate(lines[start:], start + 1) if text in line)

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


@pytest.mark.parametrize("name", ["manifest.json", "partial_parse.msgpack"])
def test_artifacts_that_dbt_is_writing_are_waited_for(parsed, name):
    """It writes them anew in place, at the end of a build too."""
    artifact = parsed.path / "target" / name
    whole = artifact.read_bytes()
    artifact.write_bytes(b"")

    def write() -> None:
        with artifact.open("ab", buffering=0) as file:
            for start in range(0, len(whole), len(whole) // 3 + 1):
                time.sleep(0.3)
                file.write(whole[start : start + len(whole) // 3 + 1])

    dbt = threading.Thread(target=write)
    dbt.start()
    found = problems(parsed)
    dbt.join()
    assert found == []


def stale_files(library) -> list[str | None]:
    found = problems(library)
    assert {problem.rule for problem in found} == {"manifest-stale"}
    return [problem.file for problem in found]


@pytest.mark.parametrize(
    "file",
    [
        f"models/marts/{TITLES}.sql",
        "models/groups.yml",
        "seeds/member_days.csv",
        "tests/overdue_share_is_a_share.sql",
        "dbt_project.yml",
    ],
)
def test_an_edit_is_stale_whatever_its_time(parsed, file):
    """Dbt passes over YAML that kept its time, so the advice is another there."""
    path = parsed.path / file
    status = path.stat()
    text = path.read_text()
    old, new = ("desk", "deck") if file == "models/groups.yml" else ("a", "e")
    path.write_text(text.replace(old, new, 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (problem,) = problems(parsed)
    assert (problem.rule, problem.file) == ("manifest-stale", file)
    assert "has changed since dbt last read it" in problem.message
    if file == "models/groups.yml":
        assert problem.fix == "Run `dbt build --no-partial-parse`."
        assert parsed.dbt("parse").returncode == 0
        assert rules(parsed) == [("manifest-stale", "dbt artifacts")]
        assert parsed.dbt("parse", "--no-partial-parse").returncode == 0
        assert problems(parsed) == []


@pytest.mark.parametrize("file", [f"models/marts/{TITLES}.sql", "models/groups.yml"])
def test_stale_when_a_file_is_gone(parsed, file):
    (parsed.path / file).unlink()
    assert stale_files(parsed) == [file]


def test_stale_when_a_file_is_new(parsed):
    for file in ("models/new.sql", "macros/new.sql", "models/notes.md", "models/ignored.sql"):
        (parsed.path / file).parent.mkdir(exist_ok=True)
        (parsed.path / file).write_text("select 1 as a")
    (parsed.path / "models/notes.txt").write_text("read by nobody")
    (parsed.path / ".dbtignore").write_text("ignored.sql\n")
    assert stale_files(parsed) == ["macros/new.sql", "models/new.sql", "models/notes.md"]


def test_stale_when_the_manifest_is_of_another_time(parsed):
    """Put back alone, it does not agree with what dbt read last."""
    path = parsed.path / "target/manifest.json"
    before = path.read_text()
    parsed.replace_in(f"models/marts/{TITLES}.sql", "copies_free as", "copies_free + 1 as")
    assert parsed.dbt("parse").returncode == 0
    path.write_text(before)
    assert stale_files(parsed) == [f"models/marts/{TITLES}.sql"]


def test_not_stale_when_only_times_or_ends_of_files_changed(parsed):
    """As after a copy, a checkout, or in an image."""
    for path in parsed.path.rglob("*"):
        os.utime(path, follow_symlinks=False)
    path = parsed.path / f"models/marts/{TITLES}.sql"
    path.write_text("\n" + path.read_text() + "\n\n")
    assert problems(parsed) == []


@pytest.mark.parametrize("content", [None, b"", b"\x93\x01", b"\x80", b"\x81\xa5files\x01"])
def test_without_what_dbt_read_nothing_is_believed(parsed, content):
    path = parsed.path / "target/partial_parse.msgpack"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (problem,) = problems(parsed)
    assert problem.rule == "parsed-files-unreadable"
    assert problem.fix == "Run `dbt build`: it writes the file anew."
    parsed.dbt("parse")
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
    package = parsed.path / "shelves"
    (package / "models").mkdir(parents=True)
    (package / "dbt_project.yml").write_text("name: shelves\nversion: '1.0.0'\n")
    (package / "models/_models.yml").write_text(
        "models:\n  - name: counts\n    config: {meta: {feast: {timestamp: at}}}\n"
    )
    (package / "models/counts.sql").write_text("select 1 as a, current_timestamp as at")
    packages = parsed.path / "packages.yml"
    packages.write_text(packages.read_text() + "  - local: shelves\n")
    assert parsed.dbt("deps").returncode == 0
    assert parsed.dbt("parse").returncode == 0
    mart = read_project(parsed.path).declaration.marts["counts"]
    assert (mart.place.file, mart.place.line) == ("dbt_packages/shelves/models/_models.yml", 2)
    parsed.replace_in("shelves/models/counts.sql", "1 as a", "2 as a")
    assert stale_files(parsed) == ["dbt_packages/shelves/models/counts.sql"]
