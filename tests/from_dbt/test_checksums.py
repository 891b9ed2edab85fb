"""Two checksums of a node's code, in Jinja and in Python, are one."""

import duckdb
from martfeast.from_dbt.checksums import code_checksum
from martfeast.from_dbt.graph import read_graph


def recorded(warehouse) -> dict[str, str]:
    """The checksum of each node, as the dbt package's macro had it at the end of the last run."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return dict(
            connection.execute("select node_id, code_checksum from martfeast.nodes").fetchall()
        )


def assert_alike(project, warehouse, kinds: set[tuple[str, str]]) -> None:
    graph = read_graph(project / "target/manifest.json")
    nodes = {**graph.models, **graph.tests}
    found = {(node.resource_type, node.config.materialized) for node in nodes.values()}
    assert kinds <= found
    assert {name: code_checksum(graph, name) for name in nodes} == recorded(project / warehouse)


def test_in_the_library(library):
    """A node of every kind: with an ephemeral model, macros, a snapshot and a singular test too."""
    (library.path / "macros").mkdir(exist_ok=True)
    (library.path / "macros/doubled.sql").write_text(
        "{% macro doubled(x) %}{{ again(x) }} + {{ x }}{% endmacro %}\n"
        "{% macro again(x) %}{{ x }}{% endmacro %}\n"
    )
    (library.path / "models/half.sql").write_text(
        "{{ config(materialized='ephemeral') }} select {{ doubled('1') }} as one"
    )
    (library.path / "models/whole.sql").write_text(
        "{{ config(materialized='incremental') }} select * from {{ ref('half') }}"
    )
    (library.path / "models/seen.sql").write_text(
        "{{ config(materialized='view') }} select * from {{ ref('whole') }}"
    )
    (library.path / "snapshots").mkdir(exist_ok=True)
    (library.path / "snapshots/kept.yml").write_text(
        "snapshots:\n  - name: kept\n    relation: ref('whole')\n"
        "    config: {schema: main, unique_key: one, strategy: check, check_cols: all}\n"
    )
    (library.path / "models/_more.yml").write_text(
        "models:\n  - name: whole\n    columns:\n      - name: one\n        data_tests:\n"
        "          - accepted_values: {arguments: {values: [2], quote: false},"
        " config: {severity: warn, limit: 5, where: 'one > 0'}}\n"
    )
    result = library.dbt("build", "--select", "half+")
    assert result.returncode == 0, result.stdout
    kinds = {
        *(("model", how) for how in ("table", "view", "incremental", "ephemeral")),
        ("seed", "seed"),
        ("snapshot", "snapshot"),
        ("test", "test"),
    }
    assert_alike(library.path, "library.duckdb", kinds)


def test_in_the_flights_project(built_project):
    kinds = {("model", "table"), ("model", "view"), ("seed", "seed"), ("test", "test")}
    assert_alike(built_project, "data/warehouse.duckdb", kinds)
