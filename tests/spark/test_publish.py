"""Marts that Spark built are judged, published and used as DuckDB's are, and are the same."""

import json
from pathlib import Path

import pytest
from martfeast.engines.duckdb import connect_in_utc, parquet_rows


def release(project: Path, target: str) -> dict:
    folder = {"dev": "data/published", "spark": "data/spark/published"}[target]
    return json.loads((project / folder / "current.json").read_text())


def test_the_same_marts_are_published_with_the_same_content(built_on_spark: Path) -> None:
    ours, theirs = release(built_on_spark, "dev"), release(built_on_spark, "spark")
    assert (ours["engine"], theirs["engine"]) == ("duckdb", "spark")
    assert (theirs["target"], theirs["target_schema"]) == ("spark", "main")
    assert theirs["location"].endswith("data/spark/warehouse")
    marts = [{mart["mart"]: mart for mart in one["marts"]} for one in (ours, theirs)]
    assert set(marts[0]) == set(marts[1])
    for name, mart in marts[0].items():
        other = marts[1][name]
        assert other["held_back"] == mart["held_back"] == [], name
        for key in ("content_hash", "row_count", "first_known_at", "last_known_at"):
            assert other[key] == mart[key], (name, key)
        tests = [{(one["test"], one["status"]) for one in m["tests"]} for m in (mart, other)]
        assert tests[0] == tests[1], name
