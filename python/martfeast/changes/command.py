"""The command ``martfeast lineage``."""

import json
from typing import TYPE_CHECKING

import click

from martfeast.options import dbt_options, json_option

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject


@click.command("lineage", short_help="Say what a column is made of, and what is made of it.")
@click.argument("column")
@dbt_options
@json_option
def lineage_command(column: str, project: "DbtProject", is_json: bool) -> None:
    """Say what COLUMN is made of, back to the sources, and what is made of it.

    COLUMN is <model>.<column> or <source>.<table>.<column>. It is read out of the SQL that dbt
    compiled; what cannot be read so is named. dbt compiles the project if it has to.
    """
    from martfeast.changes.column_report import (
        column_json,
        column_report,
        find_column,
        trace_project,
    )

    traced = trace_project(project)
    key = find_column(traced, column)
    say = json.dumps(column_json(traced, key), indent=2) if is_json else column_report(traced, key)
    click.echo(say)
