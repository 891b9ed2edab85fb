"""What data sets are called."""

from pathlib import Path

import pytest
from martfeast.from_dbt.node import Source
from martfeast.openlineage.naming import file, run_id, source_file

FOLDER = Path("/project")


def source(location):
    return Source.model_validate(
        {
            "unique_id": "source.shop.counter.sales",
            "resource_type": "source",
            "name": "sales",
            "source_name": "counter",
            "identifier": "sales_2026",
            "schema": "raw",
            "package_name": "shop",
            "original_file_path": "models/sources.yml",
            "config": {"meta": {"external_location": location} if location else {}},
        }
    )


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("landed/{name}.csv", ("file", "/project/landed/sales.csv")),
        (
            "read_parquet('landed/{identifier}.parquet')",
            ("file", "/project/landed/sales_2026.parquet"),
        ),
        ("read_csv('/data/../landed/a.csv', header=true)", ("file", "/landed/a.csv")),
        ("s3://bucket/in/{name}.parquet", ("s3://bucket", "in/sales.parquet")),
        ("file:///landed/a.csv", ("file", "/landed/a.csv")),
        (None, None),
    ],
)
def test_the_file_that_a_source_stands_for(location, expected):
    assert source_file(source(location), FOLDER) == expected


def test_a_symlink_keeps_its_name(tmp_path):
    (tmp_path / "load_7").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "load_7")
    assert file("current/a.parquet", tmp_path).name == f"{tmp_path}/current/a.parquet"


def test_the_same_facts_are_the_same_run_and_others_another():
    assert run_id("publish", 1, "v1") == run_id("publish", 1, "v1")
    assert run_id("publish", 1, "v1") != run_id("publish", 1, "v2")
    assert run_id("a", "bc") != run_id("ab", "c")
