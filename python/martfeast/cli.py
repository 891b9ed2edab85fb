"""The command ``martfeast``: each command imports what it uses when it is called."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from martfeast.gate.assess import Assessment
    from martfeast.to_feast.repository import FeatureRepo

Command = TypeVar("Command", bound=Callable[..., None])
IF_THERE = "feature_repo in the project, if there"
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])
project_dir_option = click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="The folder with dbt_project.yml.",
)
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


class Refusing(click.Group):
    """A group whose commands print what was refused or is missing, and exit with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke a command."""
        from martfeast.extras import MissingExtraError
        from martfeast.problems import DeclarationError

        try:
            return super().invoke(ctx)
        except DeclarationError as error:
            click.echo(error, err=True)
            raise SystemExit(1) from None
        except MissingExtraError as error:
            raise click.ClickException(str(error)) from None


def _version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        from martfeast.version import VERSION

        click.echo(f"martfeast {VERSION}")
        ctx.exit()


@click.group(cls=Refusing)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Feature views from tested dbt marts."""


@main.command("init", short_help="Set up martfeast in a dbt project, and find its marts.")
@project_dir_option
@click.option("--yes", "is_agreed", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
def init_command(project_dir: Path, is_agreed: bool, dry_run: bool) -> None:
    """Set up martfeast in a dbt project: show what it would write as a diff, ask, and write it.

    Then say which models could be marts, and what is missing for each. What is there already stays
    as it is; a second time it changes nothing.
    """
    from martfeast.adopting.edits import write
    from martfeast.adopting.plan import plan_setup
    from martfeast.adopting.report import NEXT_STEPS, candidates_report, diffs, notes

    plan = plan_setup(project_dir)
    candidates = candidates_report(project_dir)  # before a file is newer than dbt's last reading
    if plan.edits:
        click.echo(diffs(plan) + "\n")
    if plan.edits and not dry_run:
        count = len(plan.edits)
        if not is_agreed:
            click.confirm(f"Write {count} file{'s' if count > 1 else ''}?", abort=True)
        write(plan.edits)
    names = ", ".join(edit.name for edit in plan.edits)
    done = "would write" if dry_run else "wrote"
    click.echo(f"{done} {names}" if plan.edits else "Everything is set up; nothing was changed.")
    for part in (notes(plan), candidates, NEXT_STEPS):
        if part:
            click.echo(f"\n{part}")


@main.command(short_help="Say how each mart stands, and whether feast apply would pass.")
@click.argument("mart", required=False)
@project_dir_option
@feature_repo_option("The folder with feature_store.yaml.", IF_THERE)
@json_option
def status(mart: str | None, project_dir: Path, feature_repo: Path | None, is_json: bool) -> None:
    """Say whether `feast apply` would pass, and how each mart stands; for one MART, why.

    Exits with 0 if it would pass, and with 1 if not.
    """
    from martfeast.gate.report import as_json, mart_report, project_report
    from martfeast.problems import did_you_mean

    assessment = _assess(project_dir, feature_repo)
    readiness = assessment.readiness
    if mart is not None:
        readiness = [one for one in readiness if one.mart.name == mart]
        if not readiness:
            names = [one.mart.name for one in assessment.readiness]
            advice = did_you_mean(mart, names, f"Marts are: {', '.join(names) or 'none'}.")
            raise click.ClickException(f"There is no mart '{mart}'. {advice}")
    if is_json:
        click.echo(json.dumps(as_json(assessment, readiness), indent=2))
    elif mart is not None:
        click.echo(mart_report(readiness[0]))
    else:
        click.echo(project_report(assessment))
    raise SystemExit(1 if assessment.refusals else 0)


@main.command("prune", short_help="Remove published versions that nothing needs.")
@project_dir_option
@click.option(
    "--feature-repo",
    "feature_repos",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Each folder with a feature_store.yaml whose registry reads these marts."
    "  [default: feature_repo in the project]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(project_dir: Path, feature_repos: tuple[Path, ...], dry_run: bool) -> None:
    """Remove published versions that neither a recent release nor a Feast registry needs.

    How many releases are recent is the dbt variable `keep_releases` of martfeast, 10 unless set.
    """
    from martfeast.from_dbt.artifacts import read_settings
    from martfeast.published.prune import DEFAULT_KEPT_RELEASES, PruneError, prune

    published_path, settings = read_settings(project_dir)
    kept = settings.get("keep_releases", DEFAULT_KEPT_RELEASES)
    if isinstance(kept, bool) or not isinstance(kept, int) or kept < 1:
        raise click.ClickException(
            f"vars.martfeast.keep_releases is {kept!r}. Set it to 1 or more in dbt_project.yml."
        )
    repos = [_feature_repo(repo) for repo in feature_repos or (project_dir / "feature_repo",)]
    texts = [repo.registry_text() for repo in repos]
    try:
        pruned = prune(published_path, kept, texts, dry_run)
    except PruneError as error:
        raise click.ClickException(str(error)) from None
    for path in pruned.removed:
        click.echo(path)
    click.echo(
        f"{'would remove' if dry_run else 'removed'} {len(pruned.removed)} files,"
        f" {pruned.removed_bytes:,} bytes; {pruned.kept_count} versions stay"
    )


@main.command("replay", short_help="Build the marts as of past moments: none knew the future.")
@project_dir_option
@feature_repo_option("Whose offline store to check too.", IF_THERE)
@click.option("--select", "names", multiple=True, metavar="MART", help="Only this mart.")
@click.option(
    "--cuts",
    "cut_count",
    type=click.IntRange(min=1),
    default=None,
    help="How many past moments to choose.  [default: as the project asks for, 24 unless set]",
)
@click.option(
    "--at",
    "moments",
    type=MOMENT,
    multiple=True,
    help="Replay this moment (UTC) and no others.",
)
@json_with_progress_option
def replay_command(
    project_dir: Path,
    feature_repo: Path | None,
    names: tuple[str, ...],
    cut_count: int | None,
    moments: tuple[datetime, ...],
    is_json: bool,
) -> None:
    """Build the marts again as of past moments, and show that they never knew the future.

    The warehouse is only read. What is shown is evidence for the gate, unless fewer moments are
    replayed than the project asks for. Exits with 1 if a mart knew the future or nothing was shown.
    """
    from martfeast.replay.project import replay_project

    replayed = replay_project(
        project_dir,
        feature_repo=_feature_repo_if_there(project_dir, feature_repo),
        names=names,
        cut_count=cut_count,
        at=moments,
        say=lambda line: click.echo(line, err=True),
    )
    click.echo(json.dumps(replayed.as_json(), indent=2) if is_json else replayed.report())
    raise SystemExit(0 if replayed.has_passed else 1)


@main.command("dataset", short_help="Build a training set, measured, with a card.")
@click.argument("exposure")
@project_dir_option
@feature_repo_option("Where the exposure is applied.")
@click.option("--from", "start", type=MOMENT, help="Rows asked from this moment (UTC) on.")
@click.option("--until", "end", type=MOMENT, help="Rows asked before this moment (UTC).")
@click.option(
    "--as-of",
    type=MOMENT,
    help="Only labels known by this moment (UTC).  [default: when the last label was known]",
)
@click.option(
    "--test-from",
    type=MOMENT,
    help="Mark rows asked from this moment (UTC) on as test, and those whose label was known"
    " before it as train.",
)
@click.option(
    "--unlabelled",
    type=click.Choice(["leave-out", "keep"]),
    default="leave-out",
    show_default=True,
    help="What becomes of rows without a label; either way they are counted, by reason.",
)
@json_with_progress_option
def dataset_command(
    exposure: str,
    project_dir: Path,
    feature_repo: Path | None,
    is_json: bool,
    unlabelled: str,
    **moments: datetime | None,
) -> None:
    """Build the training set of an EXPOSURE, with a card; the same again is not built twice."""
    from martfeast.datasets.build import build_dataset
    from martfeast.datasets.population import Request
    from martfeast.datasets.report import dataset_report

    dataset = build_dataset(
        project_dir,
        _feature_repo(feature_repo or project_dir / "feature_repo"),
        exposure,
        Request(**moments, keeps_unlabelled=unlabelled == "keep"),
        say=lambda line: click.echo(line, err=True),
    )
    if is_json:
        click.echo(dataset.record.model_dump_json(by_alias=True, indent=2))
    else:
        click.echo(dataset_report(dataset.path, dataset.record, dataset.is_new))


@main.command("drift", short_help="Measure how far columns moved from a training set.")
@click.argument("before")
@click.argument("after", default="served")
@project_dir_option
@feature_repo_option("Whose online store serves.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="[COLUMN=]INDEX",
    help="The index above which a column has drifted, over what the exposure declares.",
)
@json_option
def drift_command(
    before: str,
    after: str,
    project_dir: Path,
    feature_repo: Path | None,
    thresholds: tuple[str, ...],
    is_json: bool,
) -> None:
    """Measure how far columns moved from the dataset BEFORE to AFTER.

    A dataset is `<exposure>` for the newest, `<exposure>/<number>`, or a path. AFTER may be
    `served`, which is the default: what the online store gives now. Exits with 1 on drift, with
    2 if it cannot be measured.
    """
    from martfeast.datasets.drift_report import SERVED, compare_datasets
    from martfeast.problems import DeclarationError

    repo = feature_repo or project_dir / "feature_repo"
    try:
        report = compare_datasets(
            project_dir,
            _feature_repo(repo) if after == SERVED else None,
            before,
            after,
            dict(_threshold(text) for text in thresholds),
        )
    except DeclarationError as error:
        click.echo(error, err=True)
        raise SystemExit(2) from None
    click.echo(json.dumps(report.as_json(), indent=2) if is_json else report.report())
    raise SystemExit(1 if report.drifted else 0)


def _threshold(text: str) -> tuple[str, float]:
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


def _assess(project_dir: Path, feature_repo: Path | None) -> "Assessment":
    from martfeast.declaration.project import read_project
    from martfeast.gate.assess import assess

    project = read_project(project_dir)
    repo = _feature_repo_if_there(project_dir, feature_repo)
    return assess(project, repo.read_registered() if repo else None)


def _feature_repo_if_there(project_dir: Path, named: Path | None) -> "FeatureRepo | None":
    """Return the named feature repo, or else the project's own if it has one."""
    if named is None:
        named = project_dir / "feature_repo"
        if not (named / "feature_store.yaml").exists():
            return None
    return _feature_repo(named)


def _feature_repo(path: Path) -> "FeatureRepo":
    path = path.resolve()
    if not (path / "feature_store.yaml").exists():
        raise click.ClickException(
            f"{path} has no feature_store.yaml. Name the feature repo with --feature-repo."
        )
    from martfeast.to_feast.repository import FeatureRepo

    return FeatureRepo(path, path / "feature_store.yaml")
