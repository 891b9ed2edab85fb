"""The command ``martfeast drift``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from martfeast.options import dbt_options, feature_repo_option, json_option, parse_threshold

if TYPE_CHECKING:
    from martfeast.from_dbt.dbt_project import DbtProject


@click.command("drift", short_help="Measure how far columns moved from a training set.")
@click.argument("before")
@click.argument("after", default="served")
@dbt_options
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
    project: "DbtProject",
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
    from martfeast.to_feast.repository import open_repo

    repo = feature_repo or project.folder / "feature_repo"
    report = compare_datasets(
        project,
        open_repo(repo) if after == SERVED else None,
        before,
        after,
        dict(parse_threshold(text) for text in thresholds),
    )
    click.echo(json.dumps(report.as_json(), indent=2) if is_json else report.report())
    raise SystemExit(1 if report.drifted else 0)
