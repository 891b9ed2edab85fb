"""Lint the SQL that the dbt package runs: `python tests/dbt_package/lint_statements.py`.

A macro renders to nothing by itself, so a linter that reads its file sees no SQL. This builds the
library in a temporary folder, with all label tests, audits and features over windows, and again
with a row of the past that changed, and lints what dbt has sent to DuckDB: the statements of the
hooks (the evidence, each step of the judge, publishing), the generic tests, the audits and the
windows. What the builds do not reach is not linted: `loaded_at_query`, a damaged current.json.
"""

import os
import re
import shutil
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from sqlfluff.core import FluffConfig, Linter
from sqlfluff.core.types import ConfigMappingType

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "python/martfeast/dbt_package"
# RF04: the evidence and the release have names such as `version` and `path`. RF06: names that come
# from variables and contracts are quoted, because they may be any.
EXCLUDED = "LT05,ST06,RF04,RF06"
# Tests and audits splice in each other's SQL, and dbt's own.
SPLICED = "layout,CV11"
LABEL_TESTS = """
          - martfeast.label_maturity:
              arguments: {maximum_hours: 1000}
          - martfeast.label_consistency:
              arguments:
                to: ref('loan_events')
                keys: [member_id, title_id, branch_code]
                reported: returned_at > due_at
"""
SOURCE = """
sources:
  - name: shelves
    schema: main
    tables:
      - {name: shelf_checks, config: {loaded_at_field: known_at}}
      - {name: member_days, config: {loaded_at_field: known_at}}
"""
WINDOWS = """\
{{ config(materialized='incremental', incremental_strategy='replace_range', event_time='lent_at') }}
{{ martfeast.windowed_features(
    facts=ref('loans'), entity=['member_id'], known_at='lent_at', step='day',
    windows=['7 days', '30 days'], offsets=['7 days'],
    aggregations=[
        {'name': 'loan_count', 'function': 'count'},
        {'name': 'title_sum', 'function': 'sum', 'of': 'title_id', 'where': "branch_code = 'a'"},
        {'name': 'title_mean', 'function': 'mean', 'of': 'title_id'},
        {'name': 'titles_of_a_member', 'function': 'mean', 'of': 'title_id', 'per': 'member_id'},
        {'name': 'title_share', 'function': 'share', 'of': 'title_id > 1'},
        {'name': 'lowest_title', 'function': 'min', 'of': 'title_id'},
        {'name': 'highest_title', 'function': 'max', 'of': 'title_id'},
        {'name': 'title_deviation', 'function': 'stddev', 'of': 'title_id'},
        {'name': 'last_branch', 'function': 'last', 'of': 'branch_code'},
        {'name': 'branch_count', 'function': 'distinct', 'of': 'branch_code'},
    ]
) }}
"""


def library_in(folder: Path) -> None:
    """Copy the library, with what it lacks of the package: sources, all tests, the audits."""
    ignored = shutil.ignore_patterns("target", "logs", "dbt_packages", "out", "*.duckdb")
    shutil.copytree(CHECKOUT / "tests/projects/library", folder, ignore=ignored)
    (folder / "packages.yml").write_text(f"packages:\n  - local: {PACKAGE}\n")
    marts = folder / "models/marts"
    yaml = marts / "_marts__models.yml"
    text = yaml.read_text()
    audits = "              arguments: {minimum: 0, maximum: 1}\n"
    assert audits in text
    text = text.replace(audits, audits + LABEL_TESTS.lstrip("\n"))
    served = "          online: true\n"
    assert served in text
    yaml.write_text(text.replace(served, f"{served}          batch: {{size: day}}\n"))
    for kind in ("audit", "censoring"):
        (marts / f"loan_label_{kind}.sql").write_text(
            f"{{{{ martfeast.label_{kind}(ref('loan_labels')) }}}}"
        )
    (marts / "loan_windows.sql").write_text(WINDOWS)
    strategy = "get_incremental_replace_range_sql.sql"
    (folder / "macros").mkdir()
    shutil.copy(CHECKOUT / "macros" / strategy, folder / "macros" / strategy)
    (folder / "models/sources.yml").write_text(SOURCE)
    for mart, table in (
        ("title_availability", "shelf_checks"),
        ("member_activity_daily", "member_days"),
    ):
        path = marts / f"{mart}.sql"
        comes_after = f"-- depends_on: {{{{ ref('{table}') }}}}\n"
        sql = path.read_text().replace(f"ref('{table}')", f"source('shelves', '{table}')")
        path.write_text(comes_after + sql)


def dbt(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Run dbt; return what its hooks sent to the database, and the SQL of the package's nodes."""
    statements: list[str] = []

    def note(event: Any) -> None:
        is_query = event.info.name == "SQLQuery"
        if is_query and event.data.node_info.unique_id.startswith("operation.martfeast."):
            statements.append(event.data.sql)

    result = dbtRunner(callbacks=[note]).invoke([*arguments, "--quiet"])
    assert result.success, result.exception or result.result
    compiled = {}
    for one in getattr(result.result, "results", None) or []:
        node = one.node
        metadata = getattr(node, "test_metadata", None)
        is_test = metadata and metadata.namespace == "martfeast"
        if is_test or node.name == "loan_windows" or "loan_label_" in node.name:
            compiled[metadata.name if metadata else node.name] = node.compiled_code
    return statements, compiled


def parts(statement: str) -> list[str]:
    """One statement each, without what is not the macro's own: dbt's comment, indentation.

    sqlfluff knows neither the options of DuckDB's COPY nor ATTACH, DETACH and DESCRIBE: of a COPY,
    the query is linted, and the others are not.
    """
    found = []
    for part in re.sub(r"^/\*.*?\*/", "", statement).split(";\n"):
        text = re.sub(r"\n(\s*\n)+", "\n\n", "\n\n" + part.rstrip()).lstrip("\n")
        copied = re.fullmatch(r"\s*copy \((.*)\) to '.*", text, re.DOTALL)
        # A judge's step has its own indentation, apart from the line that makes its table.
        step = re.fullmatch(r"(\s*create or replace table \S+ as\n)\n?(.*)", text, re.DOTALL)
        if copied:
            text = copied[1].strip("\n")
        if step:
            text = textwrap.dedent(step[1]) + textwrap.dedent(step[2])
        if not re.match(r"\s*(attach|detach|describe) ", text):
            found.append(textwrap.dedent(text).rstrip() + "\n")
    return found


@cache
def linter(excluded: str) -> Linter:
    overrides: ConfigMappingType = {"templater": "raw", "exclude_rules": excluded}
    return Linter(config=FluffConfig.from_path(str(CHECKOUT), overrides=overrides))


def problems_in(text: str, who: str, *, excluded: str) -> list[str]:
    lines = text.splitlines()
    return [
        f"{who} `{lines[0]}` {found.rule_code()}: {found.desc()}\n    {lines[found.line_no - 1]}"
        for found in linter(excluded).lint_string(text).get_violations()
    ]


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "library"
        library_in(folder)
        os.chdir(folder)
        dbt("deps")
        sent, compiled = dbt("build")
        shelves = Path("seeds/shelf_checks.csv")
        shelves.write_text(shelves.read_text().replace("1,1.5,", "2,1.5,"))
        sent += dbt("build")[0]
        os.chdir(CHECKOUT)
    assert len(compiled) == 8, sorted(compiled)
    statements = sorted({part for statement in sent for part in parts(statement)})
    problems = []
    for statement in statements:
        problems += problems_in(statement, "a hook runs", excluded=EXCLUDED)
    for name, sql in compiled.items():
        problems += problems_in(sql.strip() + "\n", name, excluded=f"{EXCLUDED},{SPLICED}")
    print(*problems, sep="\n")
    print(
        f"Linted {len(statements)} statements and {len(compiled)} tests, audits and windows that"
        f" the dbt package ran: {len(problems)} problems"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
