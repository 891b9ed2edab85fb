"""The command ``martfeast``: each command imports what it uses when it is called."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from martfeast.backfill.command import backfill_command
from martfeast.changes.command import diff_command, lineage_command
from martfeast.datasets.command import drift_command
from martfeast.openlineage.command import emit_command
from martfeast.options import (
    IF_THERE,
    MOMENT,
    Refusing,
    dbt_options,
    feature_repo_option,
    json_option,
    json_with_progress_option,
    version_option,
)
from martfeast.site.command import find_command, site_command

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject
    from martfeast.gate.assess import Assessment
    from martfeast.to_feast.repository import FeatureRepo


@click.group(cls=Refusing)
@version_option
def main() -> None:
    """Feature views from tested dbt marts.

    Exits with 0 if what was asked is done, with 1 if the evidence says no, with 2 if what was
    asked, declared or set up cannot be used, and with 3 if a file, a lock, an engine or a
    connection failed: then the same command may succeed later.
    """


@main.command("init", short_help="Set up martfeast in a dbt project, and find its marts.")
@dbt_options
@click.option("--yes", "is_agreed", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
def init_command(project: "DbtProject", is_agreed: bool, dry_run: bool) -> None:
    """Set up martfeast in a dbt project: show what it would write as a diff, ask, and write it.

    Then say which models could be marts, and what is missing for each. What is there already stays
    as it is; a second time it changes nothing.
    """
    from martfeast.adopting.adopt import adopt

    adopt(project, is_agreed, dry_run)


@main.command("scaffold", short_help="Print a model's contract and columns, as a mart's YAML.")
@click.argument("model")
@dbt_options
@click.option("--write", "writes", is_flag=True, help="Write it beside the model, as <model>.yml.")
def scaffold_command(model: str, project: "DbtProject", writes: bool) -> None:
    """Print the YAML that MODEL needs as a mart: contract, entities, knowledge time, tests.

    Columns and types are those of the warehouse, so the model is to be built. What only its owner
    can say (descriptions, the group) is left as a comment.
    """
    from martfeast.adopting.scaffold import scaffold

    said = scaffold(project, model, writes)
    click.echo(f"wrote {said}" if writes else said, nl=writes)


@main.command(short_help="Say how each mart stands, and whether feast apply would pass.")
@click.argument("mart", required=False)
@dbt_options
@feature_repo_option("The folder with feature_store.yaml.", IF_THERE)
@json_option
def status(
    mart: str | None, project: "DbtProject", feature_repo: Path | None, is_json: bool
) -> None:
    """Say whether `feast apply` would pass, and how each mart stands; for one MART, why.

    Exits with 0 if it would pass, 1 if marts are not ready, 2 if the declaration cannot be used.
    """
    from martfeast.declaration.declared import FeatureMart
    from martfeast.gate.report import as_json, mart_report, project_report, wrapped
    from martfeast.problems import did_you_mean, refusal
    from martfeast.to_feast.materialized import behind

    assessment = _assess(project, feature_repo)
    readiness = assessment.readiness
    if mart is not None:
        readiness = [one for one in readiness if one.mart.name == mart]
        if not readiness:
            names = [one.mart.name for one in assessment.readiness]
            advice = did_you_mean(mart, names, f"Marts are: {', '.join(names) or 'none'}.")
            raise refusal(mart, "mart-unknown", f"There is no mart '{mart}'.", advice)
    late = behind(
        _repo_path(project, feature_repo).resolve(),
        [one.mart for one in readiness if isinstance(one.mart, FeatureMart)],
        assessment.registered.overwritten,
    )
    if is_json:
        found = {**as_json(assessment, readiness), "online": [asdict(one) for one in late]}
        click.echo(json.dumps(found, indent=2, default=str))
    else:
        report = (
            project_report(assessment)
            if mart is None
            else mart_report(readiness[0], assessment.project.declaration.shared.get(mart))
        )
        click.echo("\n".join([report, *map(wrapped, map(str, late))]))
    raise SystemExit(assessment.exit_code)


for command in (
    backfill_command,
    diff_command,
    drift_command,
    emit_command,
    find_command,
    lineage_command,
    site_command,
):
    main.add_command(command)


@main.command("publish", short_help="Publish marts that dbt built on Spark.")
@dbt_options
def publish_command(project: "DbtProject") -> None:
    """Judge the marts of a target by what is recorded of them, and publish those that may be.

    For targets on which dbt cannot publish by itself, such as Spark. What was published before
    stays until the new release holds. Exits with 1 if a mart is held back.
    """
    from martfeast.openlineage.telling import publish

    raise SystemExit(0 if publish(project, say=click.echo) else 1)


@main.command("prune", short_help="Remove published versions that nothing needs.")
@dbt_options
@click.option(
    "--feature-repo",
    "feature_repos",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Each folder with a feature_store.yaml whose registry reads these marts."
    "  [default: feature_repo in the project]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(project: "DbtProject", feature_repos: tuple[Path, ...], dry_run: bool) -> None:
    """Remove published versions that neither a recent release nor a Feast registry needs.

    How many releases are recent is the dbt variable `keep_releases` of martfeast, 10 unless set.
    What runs that were killed left is removed too, a day later.
    """
    from martfeast.files import ASIDE, COPIED, leftovers
    from martfeast.from_dbt.artifacts import find_datasets_path, read_settings
    from martfeast.problems import refusal
    from martfeast.published.prune import DEFAULT_KEPT_RELEASES, PruneError, prune

    published_path, settings = read_settings(project)
    kept = settings.get("keep_releases", DEFAULT_KEPT_RELEASES)
    if isinstance(kept, bool) or not isinstance(kept, int) or kept < 1:
        fix = "Set it to 1 or more in dbt_project.yml."
        raise refusal("vars.martfeast.keep_releases", "wrong-value", f"It is {kept!r}.", fix)
    repos = [_feature_repo(repo) for repo in feature_repos or (_repo_path(project, None),)]
    datasets_path = find_datasets_path(project.folder.resolve(), published_path, settings)
    others = [*leftovers(project.folder, ASIDE), *leftovers(datasets_path, f"{ASIDE}|{COPIED}", 2)]
    with ExitStack() as held:
        for repo in repos:  # what an apply is to register is in no registry yet
            held.enter_context(repo.locked())
            others += repo.leftovers()
        texts = [repo.registry_text() for repo in repos]
        try:
            pruned = prune(published_path, kept, texts, dry_run, dict.fromkeys(others))
        except PruneError as error:
            message, _, fix = str(error).rpartition(". ")
            raise refusal("published marts", "release-unreadable", f"{message}.", fix) from None
    for path in pruned.removed:
        click.echo(path)
    click.echo(
        f"{'would remove' if dry_run else 'removed'} {len(pruned.removed)} files,"
        f" {pruned.removed_bytes:,} bytes; {pruned.kept_count} versions stay"
    )


@main.command("materialize", short_help="Write to the online store what changed in the marts.")
@click.argument("views", nargs=-1)
@dbt_options
@feature_repo_option("Whose online store to write to.")
def materialize_command(
    views: tuple[str, ...], project: "DbtProject", feature_repo: Path | None
) -> None:
    """Write to the online store what changed since the versions it was given last.

    Of all feature views, or of VIEWS: rows that are new or corrected, whatever their date, and
    nulls for keys that are gone, up to the versions that are applied.
    """
    from martfeast.openlineage.telling import materialize

    repo = _feature_repo(_repo_path(project, feature_repo))
    materialize(repo, views, say=click.echo)


@main.command("reroot", short_help="Let a registry that was moved or copied belong here.")
@dbt_options
@feature_repo_option("The folder with feature_store.yaml.")
def reroot_command(project: "DbtProject", feature_repo: Path | None) -> None:
    """Rewrite the paths in a feature repo's registry to where the project is now.

    For a project that was moved or copied with its registry. The original of a copy stays as it is.
    """
    from martfeast.to_feast.reroot import reroot

    repo = _feature_repo(_repo_path(project, feature_repo))
    done = reroot(project.folder, repo)
    if done.old is None:
        click.echo(f"the registry of {repo.path} belongs here; nothing to do")
        return
    for path in done.missing:
        click.echo(f"martfeast: a saved dataset is not here: {path}", err=True)
    click.echo(f"rewrote {done.path_count} paths from {done.old} to {done.new}")


@main.command("replay", short_help="Build the marts as of past moments: none knew the future.")
@dbt_options
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
@click.option(
    "--engine",
    metavar="NAME",
    help="Build the marts again on the engine of their target, for example spark; few cuts do."
    "  [default: duckdb]",
)
@json_with_progress_option
def replay_command(
    project: "DbtProject",
    feature_repo: Path | None,
    names: tuple[str, ...],
    cut_count: int | None,
    moments: tuple[datetime, ...],
    engine: str | None,
    is_json: bool,
) -> None:
    """Build the marts again as of past moments, and show that they never knew the future.

    The warehouse is only read. What is shown is evidence for the gate, unless fewer moments are
    replayed than the project asks for. Exits with 1 if a mart knew the future or nothing was shown.
    """
    from martfeast.replay.project import replay_project

    replayed = replay_project(
        project,
        feature_repo=_feature_repo_if_there(project, feature_repo),
        names=names,
        cut_count=cut_count,
        at=moments,
        engine=engine,
        say=lambda line: click.echo(line, err=True),
    )
    click.echo(json.dumps(replayed.as_json(), indent=2) if is_json else replayed.report())
    raise SystemExit(0 if replayed.has_passed else 1)


@main.command("dataset", short_help="Build a training set, measured, with a card.")
@click.argument("exposure")
@dbt_options
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
    project: "DbtProject",
    feature_repo: Path | None,
    is_json: bool,
    unlabelled: str,
    **moments: datetime | None,
) -> None:
    """Build the training set of an EXPOSURE, with a card; the same again is not built twice."""
    from martfeast.datasets.population import Request
    from martfeast.datasets.report import dataset_report
    from martfeast.openlineage.telling import build_dataset

    dataset = build_dataset(
        project,
        _feature_repo(_repo_path(project, feature_repo)),
        exposure,
        Request(**moments, keeps_unlabelled=unlabelled == "keep"),
        say=lambda line: click.echo(line, err=True),
    )
    if is_json:
        click.echo(dataset.record.model_dump_json(by_alias=True, indent=2))
    else:
        click.echo(dataset_report(dataset.path, dataset.record, dataset.is_new))


def _assess(project: "DbtProject", feature_repo: Path | None) -> "Assessment":
    from martfeast.declaration.project import read_project
    from martfeast.gate.assess import assess

    read = read_project(project)
    repo = _feature_repo_if_there(project, feature_repo)
    return assess(read, repo.read_registered() if repo else None)


def _repo_path(project: "DbtProject", named: Path | None) -> Path:
    """Return the named feature repo's folder, or else that of the project's own."""
    return named or project.folder / "feature_repo"


def _feature_repo_if_there(project: "DbtProject", named: Path | None) -> "FeatureRepo | None":
    from martfeast.to_feast.repository import repo_if_there

    return repo_if_there(project.folder, named)


def _feature_repo(path: Path) -> "FeatureRepo":
    from martfeast.to_feast.repository import open_repo

    return open_repo(path)
