"""Published files and releases: what is damaged is named, with the next step."""

from pathlib import Path

import duckdb
import pytest
from martfeast import Problem, read_declaration
from martfeast.declaration.project import read_project
from martfeast.gate.assess import assess
from martfeast.published.release import column_differences

TITLES = "title_availability"


def refusals(library) -> list[Problem]:
    assessment = assess(read_project(library.path))
    assert assessment.problems == []
    return assessment.refusals


def titles_file(library) -> Path:
    return read_declaration(library.path).marts[TITLES].path


def test_published_file_missing(library):
    titles_file(library).unlink()
    (problem,) = refusals(library)
    assert (problem.rule, problem.subject) == ("published", TITLES)
    assert "does not exist" in problem.message


@pytest.mark.parametrize("keep", [0, 3, 400, -1])
def test_published_file_cut_short(library, keep):
    path = titles_file(library)
    path.write_bytes(path.read_bytes()[:keep])
    (problem,) = refusals(library)
    assert (problem.rule, problem.subject) == ("published", TITLES)
    assert f"has {path.stat().st_size:,} bytes, and was written with" in problem.message
    assert "is not a whole Parquet file" in str(column_differences(path, {}))


def test_published_file_is_a_folder(library):
    path = titles_file(library)
    path.unlink()
    path.mkdir()
    (problem,) = refusals(library)
    assert "is a folder without Parquet files" in problem.message
    assert "has no part files" in str(column_differences(path, {}))


def test_published_columns_differ(library):
    """What the gate says of it, of files that are as written, is in tests/gate."""
    mart = read_declaration(library.path).marts[TITLES]
    duckdb.execute(
        "copy (select 'north' as branch_code, 1::bigint as title_id, now() as known_at,"
        " 1 as copies_free, 1::float as waiting_days, 1 as aisle,"
        " timestamp '2026-01-01' as published_at)"
        f" to '{mart.path}' (format parquet)"
    )
    contract = {column.name: column.type for column in mart.columns}
    assert str(column_differences(mart.path, contract)) == (
        "shelf_mark is missing; aisle is not in the contract; title_id is int64 where the contract"
        " says int32; known_at is timestamp[us, tz=UTC] where the contract says timestamp[us]"
    )


def test_a_file_published_without_published_at(library):
    path = titles_file(library)
    duckdb.execute(
        f"copy (select * exclude (published_at) from '{path}') to '{path}' (format parquet)"
    )
    assert "published_at is missing" in str(column_differences(path, {}))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 1}', '{"format": 3, "marts": []}', "\x00"]
)
def test_a_damaged_release_says_so_and_how_to_mend_it(library, content):
    (library.published / "current.json").write_text(content)
    (problem,) = read_project(library.path).problems
    assert problem.rule == "release-unreadable"
    assert problem.fix == "Run `dbt build`: it writes the file anew."
