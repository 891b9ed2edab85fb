"""The commands ``martfeast site`` and ``martfeast find``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from martfeast.options import IF_THERE, dbt_options, feature_repo_option, json_option

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject
    from martfeast.gate.assess import Assessment


@click.command("site", short_help="Write the catalog of features as a folder of HTML.")
@dbt_options
@feature_repo_option("The folder with feature_store.yaml.", IF_THERE)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to write, as a whole.  [default: site, beside what is published]",
)
def site_command(project: "DbtProject", feature_repo: Path | None, output: Path | None) -> None:
    """Write what there is, whether it may be used, and why, as plain HTML that opens from a folder.

    A page for each feature, view, label mart, entity, model, owner and release, the cards of
    training sets, search, and the same as JSON. The same evidence gives the same bytes.
    """
    from martfeast.site.build import build_site

    written = build_site(
        _assess(project, feature_repo), output, say=lambda line: click.echo(line, err=True)
    )
    gone = f", {written.gone_count} of them of what is gone" if written.gone_count else ""
    click.echo(f"wrote {written.page_count} pages{gone}: {written.path}")


@click.command("find", short_help="Find features, labels, models and metrics by words.")
@click.argument("words", nargs=-1, required=True)
@dbt_options
@feature_repo_option("The folder with feature_store.yaml.", IF_THERE)
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many hits to print.",
)
@json_option
def find_command(
    words: tuple[str, ...],
    project: "DbtProject",
    feature_repo: Path | None,
    most: int,
    is_json: bool,
) -> None:
    """Find what WORDS say, in names, descriptions, units, entities and owners, as the site does.

    Says of each hit whether it may be used. Exits with 1 if nothing is found.
    """
    from martfeast.site.collect import collect
    from martfeast.site.report import hits_as_json, hits_report
    from martfeast.site.search import make_index

    index = make_index(collect(_assess(project, feature_repo)))
    hits = index.find(" ".join(words), most)
    click.echo(json.dumps(hits_as_json(hits), indent=2) if is_json else hits_report(hits))
    raise SystemExit(0 if hits else 1)


def _assess(project: "DbtProject", feature_repo: Path | None) -> "Assessment":
    """Judge a project as of its release: what a site tells does not hang on the clock."""
    from datetime import datetime

    from martfeast.declaration.project import read_project
    from martfeast.gate.assess import assess
    from martfeast.to_feast.repository import repo_if_there

    read = read_project(project)
    repo = repo_if_there(project.folder, feature_repo)
    judged_at = read.release.judged_at
    now = datetime.fromisoformat(judged_at) if judged_at else None
    return assess(read, repo.read_registered() if repo else None, now)
