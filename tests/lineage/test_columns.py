"""The columns of whole projects, traced from compiled SQL."""

import json
from dataclasses import replace

import pytest
import sqlglot
from martfeast.from_dbt.graph import read_graph
from martfeast.lineage.columns import dialect_of, trace_columns
from martfeast.lineage.traced import ColumnKey
from sqlglot import exp
from sqlglot.lineage import to_node
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema


@pytest.fixture(scope="module")
def graph(parsed_library, tmp_path_factory):
    library = parsed_library.copy_to(tmp_path_factory.mktemp("lineage") / "project")
    library.said("compile")
    return read_graph(library.path / "target/manifest.json")


@pytest.fixture(scope="module")
def lineage(graph):
    return trace_columns(graph)


def test_every_column_is_traced(graph, lineage):
    assert lineage.untraced == {}
    for unique_id, model in graph.models.items():
        declared = {name.lower() for name in model.columns}
        assert declared <= set(lineage.columns[unique_id]), unique_id
        assert lineage.columns[unique_id] or unique_id.startswith("seed."), unique_id


def test_values_are_those_that_sqlglots_own_lineage_finds(graph, lineage):
    compared = 0
    for unique_id in lineage.rows:
        schema, names = {}, {}
        for one in graph.relations_read(unique_id):
            sql = f"select * from {graph.relation(one).relation.sql}"
            table = sqlglot.parse_one(sql, dialect="duckdb").find(exp.Table)
            names[table.name.lower()] = one
            at = schema.setdefault(table.catalog, {}).setdefault(table.db, {})
            if lineage.columns[one]:
                at[table.name] = dict.fromkeys(lineage.columns[one], "text")
        tree = qualify(
            sqlglot.parse_one(graph.models[unique_id].code.compiled, dialect="duckdb"),
            dialect="duckdb",
            schema=schema,
            quote_identifiers=False,
            identify=False,
            validate_qualify_columns=False,
        )
        known = MappingSchema(schema, dialect="duckdb")
        for name, traced in lineage.columns[unique_id].items():
            theirs = {
                ColumnKey(names[node.expression.name.lower()], node.name.split(".")[-1].strip('"'))
                for node in to_node(name, build_scope(tree), "duckdb", known).walk()
                if isinstance(node.expression, exp.Table)
            }
            ordered = {key for key, how in traced.shaped_by if how == "window"}
            assert {*traced.values} | ordered >= theirs, (unique_id, name)
            assert {*traced.values} <= theirs, (unique_id, name)
            compared += 1
    assert compared > 50


def test_both_ways_lead_from_a_seed_to_a_mart(lineage):
    seed = ColumnKey("seed.library.member_days", "overdue_share_30d")
    mart = ColumnKey("model.library.member_activity_daily", "overdue_share_30d")
    assert seed in lineage.upstream(mart)
    assert mart in lineage.downstream(seed)
    assert lineage.definition(mart)


def test_what_is_untraced_is_named_and_nothing_on_it_is_called_unchanged(graph, lineage):
    data = {one: model for one, model in graph.models.items()}
    mart = data["model.library.member_activity_daily"]
    (parent,) = [one for one in graph.relations_read(mart.unique_id) if one in data][:1]
    broken = data[parent].code.model_copy(update={"compiled": "select ((", "language": "sql"})
    seedless = data[parent].model_copy(update={"code": broken, "resource_type": "model"})
    again = trace_columns(replace(graph, models={**data, parent: seedless}))
    assert "sqlglot cannot read it" in again.untraced[parent]
    key = ColumnKey(mart.unique_id, "overdue_share_30d")
    assert lineage.definition(key) and again.definition(key) == ""


def test_models_without_compiled_sql_say_what_to_run(parsed_library):
    manifest = parsed_library.path / "target/manifest.json"
    assert json.loads(manifest.read_bytes())["nodes"]
    lineage = trace_columns(read_graph(manifest))
    assert any("dbt compile" in why for why in lineage.untraced.values())


def test_adapters_have_dialects():
    assert dialect_of("duckdb") == "duckdb"
    assert dialect_of("sqlserver") == "tsql"
    assert dialect_of("no_such_adapter") == ""
