"""Which features of a mart a failure above it touches, by the lineage of columns."""

import re
from collections.abc import Iterable, Iterator, Mapping

from martfeast.declaration.declared import FeatureMart, Mart
from martfeast.from_dbt.graph import Graph
from martfeast.from_dbt.node import Test

_FAILED = re.compile(r"test (\S+) failed")


def touched_by(graph: Graph, mart: Mart, held_back: Iterable[str]) -> str:
    """Say in a sentence which features of a mart tests that failed above it touch; '' if none did.

    Args:
        graph: with compiled SQL, as far as dbt compiled it.
        mart: the mart.
        held_back: why its present rows are held back, as the release has it.

    """
    failed = {found[1] for one in held_back if (found := _FAILED.match(one))}
    above = set(graph.upstream(mart.unique_id)) - {mart.unique_id}
    tests = [one for one in graph.tests_of(above) if isinstance(one, Test) and one.name in failed]
    if not tests or not isinstance(mart, FeatureMart):
        return ""
    # Only then, because reading SQL takes time.
    from martfeast.lineage.columns import trace_columns
    from martfeast.lineage.traced import ColumnKey

    lineage = trace_columns(graph)
    if not lineage.untraced.keys().isdisjoint(graph.upstream(mart.unique_id)):
        # dbt compiles no model that it skips; the command has it compiled.
        return f" `martfeast lineage {_example(graph, tests[0])}` says which features that touches."
    of_values = set(_tested_columns(tests, lineage.columns))
    keys = {name: ColumnKey(mart.unique_id, name.lower()) for name in mart.features}
    touched = [
        name
        for name, key in keys.items()
        if any((one.unique_id, one.column) in of_values for one in lineage.upstream(key))
    ]
    return f" It touches {', '.join(touched)}." if touched else " It touches no feature's value."


def _example(graph: Graph, test: Test) -> str:
    """Return a column that a test is about, as `martfeast lineage` takes it."""
    column = (test.generic.arguments if test.generic else {}).get("column_name") or "<column>"
    return f"{graph.relation(test.tested[0]).alias}.{column}"


def _tested_columns(
    tests: Iterable[Test], columns: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, str]]:
    """Yield the columns that tests are about; of a test of a whole relation, all of its columns."""
    for test in tests:
        arguments = test.generic.arguments if test.generic else {}
        name = arguments.get("column_name")
        for unique_id in test.tested:
            names = [str(name).lower()] if name else list(columns.get(unique_id, ()))
            yield from ((unique_id, one) for one in names)
