"""Every verdict that the dbt package publishes stays what it was.

`verdicts.json` has what was published and held back in both dbt projects of this repository,
after each command of a list of scenarios, with the reasons in their order. It was recorded with
the package of commit 782de53, before its macros were taken apart. To record another commit:

    git worktree add /tmp/before <commit>
    python tests/dbt_package/test_verdicts.py /tmp/before
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

CHECKOUT = Path(__file__).parents[2]
EXPECTED = Path(__file__).with_name("verdicts.json")
ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
TITLES_SQL = f"models/marts/{TITLES}.sql"
ONE_TEST = "overdue_share_is_a_share"
VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
Json = dict[str, Any]


@dataclass
class Project:
    """A dbt project that is edited and run, and what was to be seen after each command."""

    path: Path
    warehouse: str
    published: str
    python_path: Path
    seen: list[Json] = field(default_factory=list)

    def run(self, *command: str) -> str:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DBT_")
        }
        result = subprocess.run(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=self.path,
            env={**environment, "PYTHONPATH": str(self.python_path), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode in (0, 1), result.stdout + result.stderr  # 1: a test failed
        return result.stdout

    def dbt(self, *arguments: str) -> None:
        said = self.run("dbt", *arguments)
        self.seen.append({"dbt": " ".join(arguments), **self.observe(said)})

    def replace(self, file: str, old: str, new: str) -> None:
        text = (self.path / file).read_text()
        assert old in text, (file, old)
        (self.path / file).write_text(text.replace(old, new))

    def write(self, file: str, text: str) -> None:
        (self.path / file).write_text(text)

    def query(self, sql: str, *, read_only: bool = True) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path / self.warehouse), read_only=read_only) as connection:
            return connection.execute(sql).fetchall()

    def observe(self, output: str) -> Json:
        """What is published now, and the newest verdict on each mart."""
        verdicts = self.query(
            "select split_part(node_id, '.', -1), is_publishable, reasons, warnings"
            " from martfeast.verdicts inner join martfeast.invocations using (invocation_id)"
            " qualify rank() over (order by invocation_number desc) = 1"
        )
        release = json.loads((self.path / self.published / "current.json").read_text())
        published = {mart["unique_id"].split(".")[-1]: mart for mart in release["marts"]}
        lines = (line.partition("martfeast: ")[2] for line in output.splitlines())
        return {
            "said": [VERSION.sub("<version>", line) for line in lines if line],
            "release_number": release["release_number"],
            "marts": {
                mart: {
                    "publishable": publishable,
                    "reasons": reasons,
                    "warnings": warnings,
                    "rows": published[mart]["row_count"],
                    "content_hash": published[mart]["content_hash"],
                    "tests": sorted(
                        [test["test"].split(".", 2)[2], test["status"]]
                        for test in published[mart]["tests"]
                    ),
                    "sources": [
                        [source["source"], source["loaded_at"]]
                        for source in published[mart]["sources"]
                    ],
                    "lineage": [entry["node"] for entry in published[mart]["lineage"]],
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
    library.query("create table checks as from shelf_checks", read_only=False)
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
    library.query(later, read_only=False)
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
        library.query(
            f"delete from martfeast.{table} where invocation_id = {last}", read_only=False
        )
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


def verdicts_on_the_library(checkout: Path, folder: Path) -> Json:
    """Run the scenarios with the dbt package of a checkout of this repository."""
    built = Project(folder / "built", "library.duckdb", "out/published", checkout / "python")
    shutil.copytree(
        checkout / "tests/projects/library",
        built.path,
        ignore=shutil.ignore_patterns(
            "target", "logs", "dbt_packages", "package-lock.yml", "out", "*.duckdb"
        ),
    )
    built.write(
        "packages.yml", f"packages:\n  - local: {checkout / 'python/martfeast/dbt_package'}\n"
    )
    built.run("dbt", "deps")
    built.dbt("build")
    seen = {"build": built.seen}
    for scenario in SCENARIOS:
        path = folder / scenario.__name__
        shutil.copytree(built.path, path, symlinks=True)
        library = Project(path, built.warehouse, built.published, built.python_path)
        scenario(library)
        seen[scenario.__name__] = library.seen
    return seen


def verdicts_on_the_flights(checkout: Path, folder: Path) -> Json:
    """Build the flights and test a mart once more. Its models and tests may be named anew."""
    parts = ["dbt_project.yml", "profiles.yml", "packages.yml"]
    parts += ["macros", "models", "python", "seeds", "tests/data_tests"]
    flights = Project(folder, "data/warehouse.duckdb", "data/published", folder / "python")
    for part in parts:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (checkout / part).is_dir():
            shutil.copytree(checkout / part, folder / part)
        else:
            shutil.copy(checkout / part, folder / part)
    (folder / "data").mkdir()
    flights.run("dbt", "deps")
    flights.run("python", "-m", "nyc_flights.landing")
    flights.dbt("build")
    flights.dbt("test", "--select", "late_arrival_labels")
    kept = ["publishable", "reasons", "warnings", "rows", "content_hash"]
    return {
        step["dbt"]: {
            mart: {key: verdict[key] for key in kept} for mart, verdict in step["marts"].items()
        }
        for step in flights.seen
    }


@pytest.mark.slow
def test_every_verdict_on_the_library_is_what_it_was(tmp_path: Path) -> None:
    expected = json.loads(EXPECTED.read_text())["library"]
    seen = verdicts_on_the_library(CHECKOUT, tmp_path)
    assert list(seen) == list(expected)
    for scenario, steps in expected.items():
        assert seen[scenario] == steps, scenario


@pytest.mark.slow
def test_every_verdict_on_the_flights_is_what_it_was(tmp_path: Path) -> None:
    expected = json.loads(EXPECTED.read_text())["flights"]
    assert verdicts_on_the_flights(CHECKOUT, tmp_path / "flights") == expected


def record(checkout: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library").mkdir()
        verdicts = {
            "library": verdicts_on_the_library(checkout, folder / "library"),
            "flights": verdicts_on_the_flights(checkout, folder / "flights"),
        }
    EXPECTED.write_text(json.dumps(verdicts, indent=1, sort_keys=False) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]).resolve())
