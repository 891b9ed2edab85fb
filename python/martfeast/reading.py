"""Reads a dbt project's declaration and validates it as a whole."""

import os

from martfeast.artifacts import read_artifacts
from martfeast.declaration import Declaration
from martfeast.exposures import read_exposures
from martfeast.marts import check_marts, read_marts
from martfeast.problems import DeclarationError, ProblemLog
from martfeast.published_data import check_published


def read_declaration(
    dbt_project: str | os.PathLike[str], target_path: str | None = None
) -> Declaration:
    """Read and validate what a dbt project declares for Feast.

    Args:
        dbt_project: the folder with dbt_project.yml; any working directory will do.
        target_path: dbt's target folder, if it is not the project's usual one.

    Returns:
        The declaration. Every mart in it has a published Parquet file with the columns and types of
        its contract; the data itself is not read.

    Raises:
        DeclarationError: something is wrong; it lists every problem found.

    """
    artifacts, stale = read_artifacts(dbt_project, target_path)
    log = ProblemLog(stale)
    marts = read_marts(artifacts, log)
    check_marts(marts, log)
    by_name = {mart.name: mart for mart in marts}
    exposures = read_exposures(artifacts, by_name, log)
    for mart in marts:
        check_published(mart, log)
    if log.problems:
        raise DeclarationError(log.problems)
    return Declaration(by_name, {exposure.name: exposure for exposure in exposures})
