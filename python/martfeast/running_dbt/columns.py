"""The columns that a model has in the warehouse, as dbt's adapter tells them."""

import json
import os
import subprocess
import sys

from martfeast.causes import cause_said
from martfeast.files import temporary_folder, wait_for_database
from martfeast.from_dbt.artifacts import Artifacts
from martfeast.from_dbt.node import Model
from martfeast.problems import refusal

PRINTED = "martfeast columns: "


def read_columns(artifacts: Artifacts, model: Model) -> dict[str, str]:
    """Return the columns of a model's relation with their types, in order.

    Args:
        artifacts: of the project; dbt is run with its options, and its files stay as they are.
        model: of the project.

    Returns:
        The type of each column by its name, in lower case, as the warehouse has it.

    Raises:
        DeclarationError: the model is not built, or dbt cannot ask the warehouse.

    """
    arguments = json.dumps({"model_id": model.unique_id})
    with temporary_folder("scaffold") as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--quiet", "--no-use-colors"),
                *("run-operation", "martfeast.print_columns", "--args", arguments),
                *("--target-path", folder, *artifacts.dbt_project.arguments),
            ],
            cwd=artifacts.project_dir,
            env={
                **os.environ,
                "DBT_LOG_PATH": folder,
                "DBT_PARTIAL_PARSE_FILE_PATH": str(artifacts.target_path / "partial_parse.msgpack"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        if wait_for_database(done.stdout + done.stderr):
            return read_columns(artifacts, model)
        said = " ".join((done.stdout + done.stderr).split())
        fix = "Mend it, and run `dbt deps` if the package is older than martfeast."
        message = f"dbt cannot tell its columns: {said}."
        raise refusal(model.alias, "columns-unread", message, fix, cause=cause_said(said))
    (printed,) = (
        line.partition(PRINTED)[2] for line in done.stdout.splitlines() if PRINTED in line
    )
    columns: dict[str, str] | None = json.loads(printed)
    if not columns:
        message = f"There is no {model.relation.sql or model.alias} in the warehouse."
        fix = f"Run `dbt run --select {model.name}`, then this again."
        raise refusal(model.alias, "not-built", message, fix)
    return columns
