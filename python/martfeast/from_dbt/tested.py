"""What a relation's generic tests say of its columns."""

from collections.abc import Iterator

from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import GenericTest

# Generic tests that say that columns are unique together, with the argument that names the columns.
UNIQUENESS_TESTS = {
    "unique": "column_name",
    "unique_grain": "columns",
    "unique_combination_of_columns": "combination_of_columns",
    "expect_compound_columns_to_be_unique": "column_list",
}


def unquoted(name: object) -> str:
    """Return a column's name as YAML has it: a test of one with ``quote: true`` has it quoted."""
    text = str(name)
    return text[1:-1] if text[:1] + text[-1:] in ('""', "``", "[]") and len(text) > 1 else text


def tests_of_every_row(graph: Graph, unique_id: str) -> Iterator[GenericTest]:
    """Yield a relation's own generic tests that any row at all can fail."""
    for test in graph.generic_tests_on(unique_id):
        if test.generic and test.sees_every_row:
            yield test.generic


def unique_columns(graph: Graph, unique_id: str) -> list[set[str]]:
    """Return the sets of columns that a test says are unique together, in lower case.

    The tests are dbt's own on one column, and those of packages on several.
    """
    found = []
    for test in tests_of_every_row(graph, unique_id):
        columns = test.arguments.get(UNIQUENESS_TESTS.get(test.name, ""))
        if columns:
            listed = columns if isinstance(columns, list) else [columns]
            found.append({unquoted(column).lower() for column in listed})
    return found


def never_null_columns(graph: Graph, unique_id: str) -> set[str]:
    """Return the columns that a test keeps from null, in lower case."""
    return {
        unquoted(test.arguments.get("column_name")).lower()
        for test in tests_of_every_row(graph, unique_id)
        if test.name == "not_null"
    }
