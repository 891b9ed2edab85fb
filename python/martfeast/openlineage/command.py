"""The command ``martfeast emit``."""

from typing import TYPE_CHECKING

import click

from martfeast.options import dbt_options

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject


@click.command("emit", short_help="Tell OpenLineage what the current release holds.")
@dbt_options
def emit_command(project: "DbtProject") -> None:
    """Send what the current release holds to OpenLineage: which marts were published, and why not.

    dbt publishes by itself, and sends nothing: so run this after `dbt-ol build`, or leave it to
    `feast apply`, which sends the same before its own. Sent again, it is the same runs. Exits with
    2 if OpenLineage is not set up, and with 3 if nothing could be sent.
    """
    from martfeast.causes import Cause
    from martfeast.openlineage.sending import is_set_up
    from martfeast.openlineage.telling import tell_release
    from martfeast.problems import refusal

    if not is_set_up():
        message = "It has no transport, or is switched off by OPENLINEAGE_DISABLED."
        fix = "Set OPENLINEAGE_URL, or write an openlineage.yml."
        raise refusal("OpenLineage", "not-set-up", message, fix)
    if not tell_release(project):
        raise SystemExit(Cause.INFRASTRUCTURE)
