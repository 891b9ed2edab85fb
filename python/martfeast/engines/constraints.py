"""Which constraints of a contract an engine enforces when dbt builds a table."""

_ON_DUCKDB = frozenset({"not_null", "primary_key", "unique", "check", "foreign_key"})
# By dbt's name of the adapter and, where it matters, the file format of the table. What is not
# listed enforces nothing, as far as is known here.
_ENFORCED = {
    ("duckdb", None): _ON_DUCKDB,
    ("spark", "delta"): frozenset({"not_null", "check"}),
}


def enforced_constraints(adapter_type: str, file_format: str | None) -> frozenset[str]:
    """Return the types of constraints, as dbt names them, that keep wrong rows out of a table.

    Args:
        adapter_type: dbt's name of the adapter.
        file_format: of the table, where the adapter has one.

    """
    any_format = _ENFORCED.get((adapter_type, None), frozenset())
    return any_format or _ENFORCED.get((adapter_type, file_format), frozenset())
