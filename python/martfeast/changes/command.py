"""The commands ``martfeast lineage`` and ``martfeast diff``."""

import json
from pathlib import Path
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


@click.command("diff", short_help="Say what a change does to features, models and replays.")
@dbt_options
@click.option(
    "--base",
    required=True,
    metavar="REF|FOLDER",
    help="What to compare with: a git ref, or a folder with the manifest.json of another state.",
)
@click.option(
    "--base-published",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="What that state published: rows are compared too.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write an HTML page too, such as changes.html.",
)
@json_option
def diff_command(
    project: "DbtProject",
    base: str,
    base_published: Path | None,
    output: Path | None,
    is_json: bool,
) -> None:
    """Say what differs between this project and the same project in another state.

    Features that are added, gone, of another type or computed otherwise; models that they are for;
    replays that go stale; with --base-published, rows by key. It prints Markdown for a comment.

    Exits with 1 if something breaks that others read: a feature is gone or of another type, or a
    model cannot be asked as before.
    """
    from martfeast.changes.compare import compare
    from martfeast.changes.report import changes_html, changes_json, changes_markdown
    from martfeast.changes.rows import compare_rows
    from martfeast.changes.side import published_as, read_base, read_head

    head = read_head(project)
    with read_base(project, head, base) as before:
        changes = compare(before, head)
        rows = []
        if base_published is not None:
            rows = list(compare_rows(published_as(before, base_published), head))
    if output is not None:
        output.write_text(changes_html(changes, rows), encoding="utf-8")
    if is_json:
        click.echo(json.dumps(changes_json(changes, rows), indent=2, default=str))
    else:
        click.echo(changes_markdown(changes, rows))
    raise SystemExit(1 if changes.breaks else 0)
