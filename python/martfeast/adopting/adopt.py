"""Sets a dbt project up for martfeast, if its owner agrees, and says what comes next."""

import click

from martfeast.adopting.edits import write
from martfeast.adopting.plan import plan_setup
from martfeast.adopting.report import candidates_report
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.gate.report import wrapped

NEXT_STEPS = """\
Next: `dbt deps`; give a mart its meta.feast; `dbt build`; `martfeast status`; `martfeast replay`;
`feast -c feature_repo apply`. docs/adopting.md goes that way with an example."""


def adopt(project: DbtProject, is_agreed: bool = False, is_dry: bool = False) -> None:
    """Show what a project lacks as a diff, write it, and say which of its models could be marts.

    Args:
        project: the dbt project.
        is_agreed: write without asking.
        is_dry: only show.

    Raises:
        DeclarationError: there is no dbt project here, or a file cannot be read, added to or
            written; nothing was changed then.
        click.Abort: the answer was no.

    """
    candidates = candidates_report(project)  # what is written makes dbt's reading out of date
    plan = plan_setup(project, candidates.example)
    for edit in plan.edits:
        click.echo(edit.diff())
    names = ", ".join(edit.name for edit in plan.edits)
    if not plan.edits:
        click.echo("Everything is set up; nothing was changed.")
    elif is_dry:
        click.echo(f"\nwould write {names}")
    else:
        count = len(plan.edits)
        if not is_agreed:
            click.confirm(f"\nWrite {count} file{'s' if count > 1 else ''}?", abort=True)
        write(plan.edits)
        click.echo(f"\nwrote {names}")
    for part in [*(wrapped(f"note: {note}") for note in plan.notes), candidates.text, NEXT_STEPS]:
        click.echo(f"\n{part}")
