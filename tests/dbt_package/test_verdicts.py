"""Every verdict that the dbt package publishes stays what it was.

`verdicts.json` has what was published and held back in both dbt projects of this repository,
after each command of a list of scenarios, with the reasons in their order. To record what the
present code does, and read it as a diff:

    RECORD_VERDICTS=1 pytest tests/dbt_package/test_verdicts.py
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from conftest import Library, Run

EXPECTED = Path(__file__).with_name("verdicts.json")
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
TITLES_SQL = f"models/marts/{TITLES}.sql"
ONE_TEST = "overdue_share_is_a_share"
VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
Json = dict[str, Any]


@dataclass
class Project:
    """The library, edited and run, and what was to be seen after each command."""

    library: Library
    seen: list[Json] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.library.path

    def dbt(self, *arguments: str) -> None:
        output = self.library.dbt(*arguments).stdout
        lines = (line.partition("martfeast: ")[2] for line in output.splitlines())
        said = [VERSION.sub("<version>", line) for line in lines if line]
        seen = observe(self.path / "library.duckdb", self.library.published)
        self.seen.append({"dbt": " ".join(arguments), "said": said, **seen})

    def replace(self, file: str, old: str, new: str) -> None:
        self.library.replace_in(file, old, new)

    def write(self, file: str, text: str) -> None:
        (self.path / file).write_text(text)

    def execute(self, sql: str) -> None:
        self.library.execute(sql)


def observe(warehouse: Path, published: Path) -> Json:
    """What is published now, and the newest verdict on each mart."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        verdicts = connection.execute(
            "select split_part(node_id, '.', -1), is_publishable, reasons, warnings"
            " from martfeast.verdicts inner join martfeast.invocations using (invocation_id)"
            " qualify rank() over (order by invocation_number desc) = 1"
        ).fetchall()
    release = json.loads((published / "current.json").read_text())
    marts = {mart["unique_id"].split(".")[-1]: mart for mart in release["marts"]}
    return {
        "release_number": release["release_number"],
        "marts": {
            mart: {
                "publishable": publishable,
                "reasons": reasons,
                "warnings": warnings,
                "rows": marts[mart]["row_count"],
                "content_hash": marts[mart]["content_hash"],
                "tests": sorted(
                    [test["test"].split(".", 2)[2], test["status"]] for test in marts[mart]["tests"]
                ),
                "sources": [
                    [source["source"], source["loaded_at"]] for source in marts[mart]["sources"]
                ],
                "lineage": [entry["node"] for entry in marts[mart]["lineage"]],
            }
            for mart, publishable, reasons, warnings in sorted(verdicts)
        },
    }


# Scenarios on the library, each on a copy of the built project.


def run_alone(library: Project) -> None:
    library.replace("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    library.dbt("seed", "--select", "shelf_checks")
    library.dbt("run")
    library.dbt("test")


def a_test_that_fails_and_one_that_warns(library: Project) -> None:
    library.replace("seeds/member_days.csv", ",0.75,", ",1.75,")
    library.replace("seeds/shelf_checks.csv", "1,1.5,", "2,1.5,")
    library.write(
        "tests/no_loans.sql",
        f"{{{{ config(severity='warn') }}}} select * from {{{{ ref('{LABELS}') }}}}",
    )
    library.dbt("build")


def part_of_the_data(library: Project) -> None:
    library.dbt("build", "--empty")


def changed_code_and_a_removed_test(library: Project) -> None:
    library.replace(TITLES_SQL, "copies_free as", "copies_free + 1 as")
    library.replace(f"tests/{ONE_TEST}.sql", "> 1", "> 2")
    library.dbt("test", "--select", LABELS)
    (library.path / f"tests/{ONE_TEST}.sql").unlink()
    library.dbt("build", "--select", TITLES)


def a_source_under_a_view_and_unit_tests(library: Project) -> None:
    """The tests run on another load of the source than the mart was built from."""
    library.execute("create table checks as from shelf_checks")
    library.write(
        "models/sources.yml",
        "sources:\n  - name: shelves\n    schema: main\n    tables:\n      - name: checks\n"
        "        config: {loaded_at_field: known_at}\n        columns:\n"
        "          - {name: title_id, data_tests: [not_null]}\n",
    )
    library.write(
        "models/staged.sql",
        "{{ config(materialized='view') }} select * from {{ source('shelves', 'checks') }}",
    )
    library.replace(TITLES_SQL, "ref('shelf_checks')", "ref('staged')")
    library.dbt("run")
    later = "update checks set known_at = known_at + interval 1 day"
    library.execute(later)
    library.dbt("test")
    one_row = (
        "  - name: {name}\n    model: {model}\n    given:\n"
        "      - {{input: ref('{input}'), rows: [{{{column}: 1}}]}}\n"
        "    expect: {{rows: [{{{column}: {expected}}}]}}\n"
    )
    passes = one_row.format(
        name="passes", model=TITLES, input="staged", column="copies_free", expected=1
    )
    fails = one_row.format(
        name="fails", model=ACTIVITY, input="member_days", column="loan_count_30d", expected=2
    )
    library.write("models/unit_tests.yml", f"unit_tests:\n{passes}{fails}")
    library.dbt("build")


def an_incremental_mart_and_a_run_cut_off(library: Project) -> None:
    sql = (library.path / TITLES_SQL).read_text()
    incremental = "{{ config(materialized='incremental', on_schema_change='fail') }}\n"
    library.write(TITLES_SQL, incremental + sql)
    library.dbt("run", "--full-refresh", "--empty", "--select", TITLES)
    library.dbt("build")
    last = "(select max_by(invocation_id, invocation_number) from martfeast.invocations)"
    for table in ("results", "completions"):
        library.execute(f"delete from martfeast.{table} where invocation_id = {last}")
    library.dbt("test", "--select", LABELS)
    library.dbt("build", "--full-refresh")


SCENARIOS: list[Callable[[Project], None]] = [
    run_alone,
    a_test_that_fails_and_one_that_warns,
    part_of_the_data,
    changed_code_and_a_removed_test,
    a_source_under_a_view_and_unit_tests,
    an_incremental_mart_and_a_run_cut_off,
]


def verdicts_on_the_library(library: Library, folder: Path) -> Json:
    """Run each scenario on a copy of the library, which has been built."""
    seen: Json = {}
    for scenario in SCENARIOS:
        project = Project(library.copy_to(folder / scenario.__name__))
        scenario(project)
        seen[scenario.__name__] = project.seen
    return seen


def verdicts_on_the_flights(project: Path, run: Run) -> Json:
    """The flights, which have been built, and then a mart of them tested once more."""
    seen = {"build": observe(project / "data/warehouse.duckdb", project / "data/published")}
    run("dbt", "test", "--select", "late_arrival_labels", cwd=project)
    seen["test"] = observe(project / "data/warehouse.duckdb", project / "data/published")
    kept = ["publishable", "reasons", "warnings", "rows", "content_hash"]
    return {
        step: {
            mart: {key: verdict[key] for key in kept} for mart, verdict in after["marts"].items()
        }
        for step, after in seen.items()
    }


def expected(project: str, seen: Json) -> Json:
    """What is on record of a project's verdicts."""
    verdicts: Json = json.loads(EXPECTED.read_text())
    if "RECORD_VERDICTS" in os.environ:
        verdicts[project] = seen
        EXPECTED.write_text(json.dumps(verdicts, indent=1) + "\n")
    recorded: Json = verdicts[project]
    return recorded


def test_every_verdict_on_the_library_is_what_it_was(
    built_library: Library, tmp_path: Path
) -> None:
    seen = verdicts_on_the_library(built_library, tmp_path)
    recorded = expected("library", seen)
    assert list(seen) == list(recorded)
    for scenario, steps in recorded.items():
        assert seen[scenario] == steps, scenario


def test_every_verdict_on_the_flights_is_what_it_was(project: Path, run: Run) -> None:
    seen = verdicts_on_the_flights(project, run)
    assert seen == expected("flights", seen)
