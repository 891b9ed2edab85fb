"""`martfeast scaffold`: the YAML of a model that is built, which dbt takes as it is."""

import pytest
import yaml

SQL = """
select
    member_id,
    lent_at as known_at,
    count(*) over (partition by member_id order by lent_at) as loan_count,
    sum(1) over (partition by member_id order by lent_at) as loans_added_up,
    cast('a' as varchar) as last_branch
from {{ ref('loans') }}
"""
LOANS = "models/marts/member_loans"


def scaffold(library, *arguments: str, succeeds: bool = True) -> str:
    result = library.martfeast("scaffold", *arguments, cwd=library.path)
    assert result.returncode == (0 if succeeds else 2), result.stderr
    return result.stdout if succeeds else " ".join(result.stderr.split())


@pytest.fixture
def with_loans(library):
    """The library with one more model, built, which no YAML describes."""
    (library.path / f"{LOANS}.sql").write_text(SQL)
    result = library.dbt("run", "--select", "member_loans")
    assert result.returncode == 0, result.stdout
    return library


def test_what_is_printed_is_the_warehouse_and_changes_nothing(with_loans):
    before = (with_loans.path / "target/manifest.json").read_bytes()
    (model,) = yaml.safe_load(scaffold(with_loans, "member_loans"))["models"]
    assert [(one["name"], one["data_type"]) for one in model["columns"]] == [
        ("member_id", "integer"),
        ("known_at", "timestamp"),
        ("loan_count", "bigint"),
        ("loans_added_up", "hugeint"),
        ("last_branch", "varchar"),
    ]
    assert model["columns"][0]["config"] == {"meta": {"feast": {"entity": "member"}}}
    assert model["config"]["meta"]["feast"] == {"timestamp": "known_at"}
    said = scaffold(with_loans, "member_loans")
    assert "data_type: hugeint  # cast it to bigint, or to double\n" in said
    assert "# description: <with its unit>" in said
    assert not (with_loans.path / f"{LOANS}.yml").exists()
    assert (with_loans.path / "target/manifest.json").read_bytes() == before


def test_what_yaml_says_already_is_kept(built_library):
    (model,) = yaml.safe_load(scaffold(built_library, "title_availability"))["models"]
    declared = yaml.safe_load((built_library.path / "models/marts/_marts__models.yml").read_text())[
        "models"
    ]
    (mart,) = (one for one in declared if one["name"] == "title_availability")
    assert model["description"] == " ".join(mart["description"].split())
    assert model["config"]["group"] == mart["config"]["group"]
    assert [one["name"] for one in model["columns"]] == [one["name"] for one in mart["columns"]]


def test_what_is_written_is_a_contract_that_dbt_enforces(with_loans):
    with_loans.replace_in(f"{LOANS}.sql", "sum(1)", "count(1)")
    assert with_loans.dbt("run", "--select", "member_loans").returncode == 0
    assert scaffold(with_loans, "member_loans", "--write") == f"wrote {LOANS}.yml\n"
    result = with_loans.dbt("build", "--select", "member_loans")
    assert "PASS not_null_member_loans_known_at" in result.stdout
    assert "OK created sql table model main.member_loans" in result.stdout
    with_loans.replace_in(f"{LOANS}.sql", "count(1)", "avg(1)")
    result = with_loans.dbt("build", "--select", "member_loans")
    assert "This model has an enforced contract that failed" in result.stdout
    # The file stays as it is from now on.
    said = scaffold(with_loans, "member_loans", "--write", succeeds=False)
    assert f"{LOANS}.yml is there already, and nothing is written into it." in said


def test_a_model_that_is_unknown_or_not_built_or_no_mart_is_refused_with_the_next_step(library):
    said = scaffold(library, "member_loan", succeeds=False)
    assert "There is no model 'member_loan'. Name a model of the project" in said
    library.execute("drop table title_availability")
    said = scaffold(library, "title_availability", succeeds=False)
    assert "Run `dbt run --select title_availability`, then this again." in said
    (library.path / "models/totals.sql").write_text("select 1 as total")
    assert library.dbt("run", "--select", "totals").returncode == 0
    said = scaffold(library, "totals", "--write", succeeds=False)
    assert "No known column looks like a key, such as customer_id." in said
    assert not (library.path / "models/totals.yml").exists()
