"""Options that several commands have."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., None])
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
IF_THERE = "feature_repo in the project, if there"
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])
json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
json_with_progress_option = click.option(
    "--json", "is_json", is_flag=True, help="Print JSON; progress still goes to stderr."
)


def feature_repo_option(
    what: str, default: str = "feature_repo in the project"
) -> Callable[[Command], Command]:
    """Return the option --feature-repo, saying what the command takes it for."""
    help_ = f"{what}  [default: {default}]"
    return click.option("--feature-repo", type=click.Path(path_type=Path), help=help_)


# dbt's own options, with its names and environment variables.
DBT_OPTIONS = (
    click.option(
        "--project-dir",
        type=click.Path(path_type=Path),
        default=".",
        show_default=True,
        envvar="DBT_PROJECT_DIR",
        help="The folder with dbt_project.yml.",
    ),
    click.option("--target", "-t", help="The dbt target whose marts are meant.  [env: DBT_TARGET]"),
    click.option("--profile", help="The dbt profile.  [env: DBT_PROFILE]"),
    click.option("--profiles-dir", help="The folder with profiles.yml.  [env: DBT_PROFILES_DIR]"),
    click.option("--target-path", help="The folder of dbt's artifacts.  [env: DBT_TARGET_PATH]"),
    click.option("--vars", "variables", metavar="YAML", help="Variables, as dbt was given them."),
)


class _Refuses:
    """Prints what was refused or is missing, and exits with its cause."""

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke a command."""
        from martfeast.causes import Cause, cause_of
        from martfeast.extras import MissingExtraError
        from martfeast.files import unusable
        from martfeast.problems import DeclarationError

        try:
            return super().invoke(ctx)  # type: ignore[misc]  # click's, of the class beside this
        except DeclarationError as error:
            click.echo(error, err=True)
            raise SystemExit(error.cause) from None
        except MissingExtraError as error:
            raise _Ended(str(error), Cause.USAGE) from None
        except click.Abort:
            raise _Ended("The answer was no.", Cause.USAGE) from None
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:  # nobody reads any more what is printed; click ends quietly
            raise
        except Exception as error:
            cause = cause_of(error)
            if isinstance(error, OSError) and error.filename is not None:
                raise _Ended(unusable(error), cause) from None
            if isinstance(error, click.ClickException) or cause is not Cause.INFRASTRUCTURE:
                raise
            said = f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
            raise _Ended(f"{said}. Run this again when that is over.", cause) from None


class Refusing(_Refuses, click.Group):
    """A group of commands that do so."""


class RefusingCommand(_Refuses, click.Command):
    """A command that does so."""


class _Ended(click.ClickException):
    """A command ended for a cause; click prints the sentence, and exits with the code."""

    def __init__(self, message: str, cause: int) -> None:
        super().__init__(message)
        self.exit_code = cause  # type: ignore[misc]  # click declares it for the class


def dbt_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add dbt's options to a command, which is given them as one ``project``."""

    @functools.wraps(command)
    def with_project(
        *,
        project_dir: Path,
        target: str | None,
        profile: str | None,
        profiles_dir: str | None,
        target_path: str | None,
        variables: str | None,
        **others: Any,
    ) -> None:
        from martfeast.from_dbt.dbt_project import DbtProject, parse_variables

        given = parse_variables(variables) if variables else {}
        project = DbtProject(project_dir, target_path, target, profile, profiles_dir, given)
        command(project=project, **others)

    for option in reversed(DBT_OPTIONS):
        with_project = option(with_project)
    return with_project


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the version, if it is asked for, and exit."""
    if is_asked and not ctx.resilient_parsing:
        from martfeast.version import VERSION

        click.echo(f"martfeast {VERSION}")
        ctx.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)


def parse_threshold(text: str) -> tuple[str, float]:
    """Return the column and the number of a threshold; an empty column for all."""
    column, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise click.BadParameter(
            f"{text!r} is not a threshold: write a number above 0, or <column>=<number>.",
            param_hint="--threshold",
        )
    return column, value
