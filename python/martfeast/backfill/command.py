"""The command ``martfeast backfill``."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from martfeast.options import MOMENT, dbt_options

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject


@click.command("backfill", short_help="Make past days of marts anew, test and publish them.")
@click.argument("marts", nargs=-1, required=True)
@dbt_options
@click.option("--from", "start", type=MOMENT, required=True, help="The first moment, UTC.")
@click.option("--to", "end", type=MOMENT, required=True, help="The moment after the last, UTC.")
@click.option(
    "--batches",
    "at_once",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many batches each run of dbt makes.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="With json, also print the end of each of dbt's nodes, as a line of JSON.",
)
def backfill_command(
    marts: tuple[str, ...],
    project: "DbtProject",
    start: datetime,
    end: datetime,
    at_once: int,
    log_format: str,
) -> None:
    """Make past batches of MARTS anew, and of all that depends on them; test, and publish them.

    They are models that dbt makes by ranges of event time: microbatch or replace_range. What was
    published before holds until all is made and tested. A run that was cut off goes on where it
    was: run the same command again. Exits with 1 if a mart is held back or a model fails.
    """
    from martfeast.backfill.run import backfill
    from martfeast.openlineage.telling import tell_release

    done = backfill(
        project, marts, start, end, click.echo, at_once, says_nodes=log_format == "json"
    )
    for changes in done.changes:
        click.echo(str(changes))
    for name, reasons in done.held_back.items():
        click.echo(f"{name} is held back: {'; '.join(reasons)}")
    if done.held_back:
        click.echo("`martfeast status` says what to do; after a run that was cut off, `dbt build`.")
    click.echo(f"Release {done.release} holds.")
    tell_release(project)
    raise SystemExit(1 if done.held_back else 0)
