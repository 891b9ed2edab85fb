"""dbt's own options mean to martfeast what they mean to dbt."""

from pathlib import Path

import pytest
from martfeast import DeclarationError
from martfeast.from_dbt.artifacts import read_settings
from martfeast.from_dbt.dbt_project import DbtProject, parse_variables

BY_TARGET = "published_path: {dev: out/dev, ci: out/ci}"


@pytest.fixture
def by_target(parsed):
    parsed.replace_in("dbt_project.yml", "published_path: out/published", BY_TARGET)
    return parsed


def published(project: DbtProject) -> str:
    return str(read_settings(project)[0].relative_to(project.folder))


def test_a_target_is_taken_from_the_option_then_the_environment_then_the_project(
    by_target, monkeypatch
):
    folder = by_target.path
    monkeypatch.delenv("DBT_TARGET", raising=False)
    with pytest.raises(DeclarationError, match="nothing says which of them is meant"):
        published(DbtProject(folder))
    by_target.replace_in("dbt_project.yml", BY_TARGET, f"target: dev\n    {BY_TARGET}")
    assert published(DbtProject(folder)) == "out/dev"
    monkeypatch.setenv("DBT_TARGET", "ci")
    assert published(DbtProject(folder)) == "out/ci"
    assert published(DbtProject(folder, target="dev")) == "out/dev"
    with pytest.raises(DeclarationError, match="target qa is not in it"):
        published(DbtProject(folder, target="qa"))


def test_variables_of_the_command_hold_over_those_of_the_project(parsed):
    project = DbtProject(parsed.path, variables={"published_path": "out/other"})
    assert published(project) == "out/other"


def test_options_are_given_to_dbt_as_they_are():
    assert DbtProject(Path()).arguments == []
    project = DbtProject(Path(), None, "ci", "shop", "/profiles", {"day": "2026-01-01", "n": 1})
    assert project.arguments == [
        "--target", "ci", "--profile", "shop", "--profiles-dir", "/profiles",
        "--vars", "day: '2026-01-01'\nn: 1\n",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["n", "[1]", "{", "a: b: c"])
def test_variables_that_are_no_mapping_are_refused(text):
    with pytest.raises(DeclarationError, match="vars-unreadable"):
        parse_variables(text)
