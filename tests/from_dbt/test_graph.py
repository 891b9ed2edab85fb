"""The typed view of a manifest: what is not as dbt writes it names the node, and never crashes."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from martfeast import DeclarationError
from martfeast.declaration.project import declare
from martfeast.from_dbt.artifacts import read_artifacts
from martfeast.from_dbt.graph import parse_graph, read_graph
from martfeast.gate.assess import assess
from martfeast.gate.report import as_json
from martfeast.problems import ProblemLog
from martfeast.published.release import Release

Json = dict[str, Any]
SECTIONS = ("nodes", "sources", "macros", "exposures", "groups", "unit_tests")
NOTHINGS: list[Any] = [None, 7, "text", [], {}]


def one_of_each(manifest: Json) -> Iterator[tuple[str, str]]:
    """The node of each kind that has most in it, by section and unique_id."""
    richest: dict[tuple[str, str, bool], str] = {}
    for section in SECTIONS:
        for name, node in manifest[section].items():
            kind = (section, node.get("resource_type", ""), bool(node.get("test_metadata")))
            if kind not in richest or size(node) > size(manifest[section][richest[kind]]):
                richest[kind] = name
    return ((section, name) for (section, _, _), name in richest.items())


def size(node: Json) -> int:
    return len([*ways(node)])


def ways(node: Any, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """The way to each value in a node, two mappings deep."""
    for key, value in node.items():
        yield (key,)
        if isinstance(value, dict) and depth < 2:
            yield from ((key, *way) for way in ways(value, depth + 1))


def replaced(manifest: Json, section: str, name: str, way: tuple[str, ...], value: Any) -> None:
    at = manifest[section][name]
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value


@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_any_value_of_any_node_may_be_wrong(manifest, nothing):
    """Every key of a node of every kind, replaced: it is read, or the node is named."""
    manifest = copy.deepcopy(manifest)
    refused = set()
    for section, name in one_of_each(manifest):
        original = copy.deepcopy(manifest[section][name])
        for way in ways(original):
            replaced(manifest, section, name, way, copy.deepcopy(nothing))
            try:
                parse_graph(manifest, Path("manifest.json"))
            except DeclarationError as error:
                (problem,) = error.problems
                assert (problem.subject, problem.rule) == (name, "manifest-unreadable"), way
                refused.add((section, way))
            manifest[section][name] = copy.deepcopy(original)
    # What everything rests on is never passed over.
    if nothing is None:
        assert ("nodes", ("config",)) in refused
        assert ("nodes", ("depends_on", "nodes")) in refused
        assert ("nodes", ("columns",)) in refused
        assert ("macros", ("macro_sql",)) in refused


@pytest.mark.parametrize("nothing", [None, "text"], ids=repr)
def test_what_is_read_all_the_same_can_be_judged(manifest, parsed_library, nothing):
    manifest = copy.deepcopy(manifest)
    artifacts = read_artifacts(parsed_library.path)
    name = "model.library.member_activity_daily"
    original = copy.deepcopy(manifest["nodes"][name])
    judged = 0
    for way in ways(original):
        replaced(manifest, "nodes", name, way, nothing)
        try:
            graph = parse_graph(manifest, Path("manifest.json"))
        except DeclarationError:
            continue
        finally:
            manifest["nodes"][name] = copy.deepcopy(original)
        project = declare(replace(artifacts, graph=graph), Release(), ProblemLog())
        assessment = assess(project)
        json.dumps(as_json(assessment, assessment.readiness))
        judged += 1
    assert judged > 20


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_a_node_that_is_nothing_is_named(manifest, tmp_path, section, nothing):
    name = next(iter(manifest[section]), "unit_test.library.any")
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**manifest, section: {**manifest[section], name: nothing}}))
    with pytest.raises(DeclarationError) as raised:
        read_graph(path)
    assert raised.value.problems[0].subject == name


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_is_no_mapping_is_said(manifest, tmp_path, section):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**manifest, section: None}))
    with pytest.raises(DeclarationError, match=f"{section} is no mapping"):
        read_graph(path)


def test_a_newer_schema_is_said(manifest, tmp_path):
    path = tmp_path / "manifest.json"
    metadata = {**manifest["metadata"], "dbt_schema_version": "https://schemas/manifest/v13.json"}
    path.write_text(json.dumps({**manifest, "metadata": metadata}))
    with pytest.raises(DeclarationError, match=r"v13\.json, and martfeast reads"):
        read_graph(path)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"metadata": null}', "{" * 100_000])
def test_what_is_no_manifest_is_said(tmp_path, text):
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(DeclarationError) as raised:
        read_graph(path)
    assert "manifest" in raised.value.problems[0].rule


def edited(manifest: Json, tmp_path, section: str, name: str, **keys: Any) -> str:
    path = tmp_path / "manifest.json"
    node = {**manifest[section][name], **keys}
    path.write_text(json.dumps({**manifest, section: {**manifest[section], name: node}}))
    with pytest.raises(DeclarationError) as raised:
        read_graph(path)
    (problem,) = raised.value.problems
    assert problem.subject == name
    return problem.message


def test_a_parent_or_a_macro_that_is_gone_is_named(manifest, tmp_path):
    name = "model.library.title_availability"
    gone = {"nodes": ["model.library.nowhere"], "macros": []}
    message = edited(manifest, tmp_path, "nodes", name, depends_on=gone)
    assert "it depends on model.library.nowhere, which is not there" in message
    gone = {"nodes": [], "macros": ["macro.library.nothing"]}
    message = edited(manifest, tmp_path, "nodes", name, depends_on=gone)
    assert "it depends on macro.library.nothing, which is not there" in message


def test_a_model_that_depends_on_itself_is_named(manifest, tmp_path):
    name = "model.library.title_availability"
    itself = {"nodes": [name], "macros": []}
    message = edited(manifest, tmp_path, "nodes", name, depends_on=itself)
    assert "it depends on itself" in message


def test_only_dbt_and_its_adapter_are_dbts_own(parsed_library):
    graph = read_graph(parsed_library.path / "target/manifest.json")
    owners = {
        "macro.dbt.run_query": True,
        "macro.dbt_duckdb.duckdb__get_columns": True,
        "macro.dbt_utils.star": False,
        "macro.dbt_spark.spark__star": False,
        "macro.library.dbt": False,
    }
    assert {name: graph.is_dbts_own(name) for name in owners} == owners
