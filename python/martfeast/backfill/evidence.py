"""Which batches dbt has made since a backfill began, by the evidence in the target's database."""

from typing import Any

from martfeast.causes import cause_of
from martfeast.engines.engine import open_engine
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.problems import DeclarationError, refusal
from martfeast.running_dbt.stand_in import read_target

NEWEST = "select coalesce(max(invocation_number), 0) as newest from {invocations}"


def ranges_since(model: str, checksum: str, invocation_number: int) -> str:
    """Return the query of the ranges that later invocations have made of a model with some code."""
    return (
        "select ranges.range_start, ranges.range_end from {ranges} as ranges"
        " inner join {invocations} as invocations"
        " on ranges.invocation_id = invocations.invocation_id"
        " inner join {results} as results on ranges.invocation_id = results.invocation_id"
        " and ranges.node_id = results.node_id"
        f" where ranges.node_id = '{model}' and not invocations.is_partial"
        f" and invocations.invocation_number > {invocation_number}"
        " and results.status in ('success', 'partial success')"
        f" and results.code_checksum = '{checksum}'"
    )


def recorded(
    name: str, dbt_project: DbtProject, otherwise: str | None, schema: str, query: str
) -> list[dict[str, Any]]:
    """Return rows of the evidence, as the target's engine has it.

    Args:
        name: of the model that they are asked for, for messages.
        dbt_project: with the options that dbt is run with.
        otherwise: the target where the options name none.
        schema: of the evidence.
        query: SQL, with the evidence's tables in braces.

    Raises:
        DeclarationError: dbt has recorded nothing there, or the engine cannot be used.

    """
    engine = open_engine(read_target(dbt_project, otherwise).credentials)
    tables = ("invocations", "ranges", "results")
    names = {table: engine.name(schema, table) for table in tables}
    try:
        rows: list[dict[str, Any]] = engine.rows(query.format(**names)).to_pylist()
    except Exception as error:  # whatever the engine raises of a table that is missing
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, DeclarationError):
            said = error.problems[0].message.rstrip(".")
            if "NOT_FOUND" not in said:
                raise
        raise refusal(
            name,
            "evidence-missing",
            f"What dbt has recorded in {engine.location} cannot be read: {said}.",
            "Run `dbt build` once: there is nothing to backfill before that.",
            cause=cause_of(error),
        ) from None
    return rows
