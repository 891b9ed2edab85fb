"""What a target's engine does by itself, by dbt's name of its adapter."""

_ON_DUCKDB = frozenset({"not_null", "primary_key", "unique", "check", "foreign_key"})
# The engine on which marts are built again, unless another is asked for.
REPLAY_ENGINE = "duckdb"
# By dbt's name of the adapter and, where it matters, the file format of the table. What is not
# listed enforces nothing, as far as is known here.
_ENFORCED = {
    ("duckdb", None): _ON_DUCKDB,
    ("spark", "delta"): frozenset({"not_null", "check"}),
}


# On these dbt publishes at the end of a run; on others, `martfeast publish` does.
_PUBLISHING = ("duckdb",)


def build_command(adapter_type: str) -> str:
    """Return what to run so that marts are built and published, as words for an advice."""
    if adapter_type in _PUBLISHING:
        return "`dbt build`"
    return "`dbt build` and `martfeast publish`"


def enforced_constraints(adapter_type: str, file_format: str | None) -> frozenset[str]:
    """Return the types of constraints, as dbt names them, that keep wrong rows out of a table.

    Args:
        adapter_type: dbt's name of the adapter.
        file_format: of the table, where the adapter has one.

    """
    any_format = _ENFORCED.get((adapter_type, None), frozenset())
    return any_format or _ENFORCED.get((adapter_type, file_format), frozenset())
