"""What `dbt build` publishes, and when it must not."""

import json
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet


def test_published_files(built_library):
    assert sorted(built_library.published_bytes()) == [
        "last_build.json",
        "loan_labels.parquet",
        "member_activity_daily.parquet",
        "title_availability.parquet",
    ]
    table = parquet.read_table(built_library.published / "title_availability.parquet")
    assert table.schema.names == [
        "branch_code",
        "title_id",
        "known_at",
        "copies_free",
        "waiting_days",
        "shelf_mark",
        "published_at",
    ]
    assert table.schema.field("published_at").type == pa.timestamp("us")
    keys = table.select(["known_at", "branch_code", "title_id"]).to_pylist()
    assert [tuple(row.values()) for row in keys] == sorted(tuple(row.values()) for row in keys)
    (published_at,) = set(table.column("published_at").to_pylist())
    metadata = parquet.read_metadata(built_library.published / "title_availability.parquet")
    assert metadata.row_group(0).column(0).compression == "ZSTD"

    results = json.loads((built_library.path / "target/run_results.json").read_text())
    lines = (built_library.published / "last_build.json").read_text().splitlines()
    records = {record["mart"]: record for record in map(json.loads, lines)}
    assert {name: record["rows"] for name, record in records.items()} == {
        "loan_labels": 4,
        "member_activity_daily": 4,
        "title_availability": 4,
    }
    record = records["title_availability"]
    assert record["unique_id"] == "model.library.title_availability"
    assert record["invocation_id"] == results["metadata"]["invocation_id"]
    assert datetime.fromisoformat(record["published_at"].ljust(26, "0")) == published_at


def test_a_failed_test_leaves_everything_as_it_was(library):
    before = library.published_bytes()
    library.replace_in("seeds/member_days.csv", ",0.75,", ",1.75,")
    result = library.dbt("build")
    assert result.returncode == 1
    assert "martfeast: nothing was published: overdue_share_is_a_share (fail)" in result.stdout
    assert "martfeast: what was published before, in out/published, is unchanged" in result.stdout
    assert library.published_bytes() == before


def test_a_model_that_errors_leaves_everything_as_it_was(library):
    before = library.published_bytes()
    file = "models/marts/title_availability.sql"
    library.replace_in(file, "copies_free as", "no_such as")
    result = library.dbt("build")
    assert "published: title_availability (error); 3 skipped" in result.stdout
    assert library.published_bytes() == before

    # A retry would publish the repaired mart beside older versions of the others.
    library.replace_in(file, "no_such as", "copies_free as")
    retry = library.dbt("retry")
    assert retry.returncode == 0
    assert "nothing was published: a retry has only part of the results" in retry.stdout
    assert library.published_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], None),
        (["build", "--empty"], "nothing was published: --empty and --sample"),
        (["build", "--sample", "1 day"], "nothing was published: --empty and --sample"),
        (["build", "--select", "shelf_checks"], "nothing was published: this build has no model"),
    ],
)
def test_other_commands_publish_nothing(library, arguments, said):
    before = library.published_bytes()
    result = library.dbt(*arguments)
    assert result.returncode == 0, result.stdout
    assert "martfeast: published" not in result.stdout
    assert said is None or f"martfeast: {said}" in result.stdout
    assert library.published_bytes() == before


def test_a_selected_mart_is_published_alone_and_a_warning_does_not_stop_it(library):
    before = library.published_bytes()
    library.replace_in("seeds/shelf_checks.csv", "south,10,", "west,10,")
    path = library.path / "tests/no_west.sql"
    path.write_text(
        "{{ config(severity='warn') }}\n"
        "select * from {{ ref('title_availability') }} where branch_code = 'west'"
    )
    result = library.dbt("build", "--select", "+title_availability")
    assert "WARN=1" in result.stdout
    assert "martfeast: published 1 mart to out/published" in result.stdout
    assert "martfeast: rows: title_availability 4" in result.stdout
    after = library.published_bytes()
    assert {name for name in after if after[name] != before[name]} == {
        "last_build.json",
        "title_availability.parquet",
    }


def test_a_mart_without_contract_is_not_published(library):
    before = library.published_bytes()
    library.replace_in("models/marts/_marts__models.yml", "enforced: true", "enforced: false")
    result = library.dbt("build")
    assert result.returncode != 0
    assert "martfeast cannot publish member_activity_daily: its contract is not" in result.stdout
    assert library.published_bytes() == before
