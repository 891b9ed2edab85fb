"""What a relation's generic tests say of its columns."""

from collections.abc import Iterator

from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import GenericTest, Macro, Test

# Generic tests that say that columns are unique together, with the argument that names the columns.
UNIQUENESS_TESTS = {
    "unique": "column_name",
    "unique_grain": "columns",
    "unique_combination_of_columns": "combination_of_columns",
    "expect_compound_columns_to_be_unique": "column_list",
}
# Whose definition of a test is known to show what its name says.
_SHIPPED_BY = {
    "unique": "dbt",
    "not_null": "dbt",
    "unique_grain": "martfeast",
    "unique_combination_of_columns": "dbt_utils",
    "expect_compound_columns_to_be_unique": "dbt_expectations",
}
# What dbt runs around every test: the rows that it sees, and how they are counted.
_AROUND_TESTS = ("get_where_subquery", "get_test_sql")


def unquoted(name: object) -> str:
    """Return a column's name as YAML has it: a test of one with ``quote: true`` has it quoted."""
    text = str(name)
    return text[1:-1] if text[:1] + text[-1:] in ('""', "``", "[]") and len(text) > 1 else text


def tests_of_every_row(
    graph: Graph, unique_id: str, of_any_definition: bool = False
) -> Iterator[GenericTest]:
    """Yield a relation's own generic tests that any row at all can fail.

    of_any_definition: those too that the project defines anew, so that what they show is not known.
    """
    for test in graph.generic_tests_on(unique_id):
        is_shipped = of_any_definition or not redefinitions(graph, test)
        if test.generic and test.sees_every_row and is_shipped:
            yield test.generic


def redefinitions(graph: Graph, test: Test) -> list[Macro]:
    """Return the macros that take the place of a generic test's shipped definition.

    dbt prefers a project's own macro to that of a package: one that is called like the test, like
    what the test dispatches to, or like what dbt runs around every test.
    """
    name = test.generic.name if test.generic else ""
    shipped_by = _SHIPPED_BY.get(name)
    if shipped_by is None:
        return []
    adapter = graph.adapter_type
    names = [f"materialization_test_{adapter}", "materialization_test_default", *_AROUND_TESTS]
    dispatched = [f"test_{name}", *_AROUND_TESTS]
    names += [f"{prefix}__{one}" for prefix in ("default", adapter) for one in dispatched]
    found = [macro for one in names for macro in graph.macros_by_name.get(one, ())]
    called = [graph.macros[one] for one in test.depends_on.macros if one in graph.macros]
    found += [macro for macro in called if macro.name == f"test_{name}"]
    shipped = (*graph.dbts_own, shipped_by, "martfeast")
    return [macro for macro in found if macro.package_name not in shipped]


def unique_columns(graph: Graph, unique_id: str, of_any_definition: bool = False) -> list[set[str]]:
    """Return the sets of columns that a test says are unique together, in lower case.

    The tests are dbt's own on one column, and those of packages on several. of_any_definition: as
    for `tests_of_every_row`.
    """
    found = []
    for test in tests_of_every_row(graph, unique_id, of_any_definition):
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
