"""The command ``martfeast``."""

from pathlib import Path

import click

from martfeast.problems import DeclarationError
from martfeast.reading import read_declaration


@click.group()
def main() -> None:
    """Feature views from tested dbt marts."""


@main.command()
@click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="The folder with dbt_project.yml.",
)
def check(project_dir: Path) -> None:
    """Say whether the marts are declared and published well enough to apply.

    Prints one line and exits with 0, or prints every problem and exits with 1.
    """
    try:
        declaration = read_declaration(project_dir)
    except DeclarationError as error:
        click.echo(error, err=True)
        raise SystemExit(1) from None
    click.echo(
        f"ready: {len(declaration.feature_marts)} feature views,"
        f" {len(declaration.exposures)} services, {len(declaration.label_marts)} label marts"
    )
