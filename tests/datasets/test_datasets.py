"""Training sets: what is in them, that they are built alike again, and what they refuse."""

import json
import math
import shutil
from typing import Any

import duckdb
import mlcroissant
import pytest

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SERVICE, YAML = "overdue_prediction", "models/marts/_marts__models.yml"
SQL, LABEL_SQL = f"models/marts/{TITLES}.sql", f"models/marts/{LABELS}.sql"
Json = dict[str, Any]


def apply(library) -> None:
    """Build and apply what a test has changed; whether it may be is another room's business."""
    library.lower("replayed", "history_unchanged")
    built = library.dbt("build")
    assert built.returncode == 0, built.stdout
    library.apply()


def dataset(library, *arguments: str) -> Json:
    result = library.martfeast("dataset", SERVICE, "--json", *arguments, cwd=library.path)
    assert result.returncode == 0, result.stdout + result.stderr
    record: Json = json.loads(result.stdout)
    return record


def refusal(library, *arguments: str) -> str:
    """What is said of a dataset that cannot be; nothing is written then."""
    before = sorted(library.path.glob("out/datasets/**/*"))
    registry = library.registry.read_bytes()
    result = library.martfeast("dataset", *arguments, cwd=library.path)
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stderr
    assert sorted(library.path.glob("out/datasets/**/*")) == before
    assert library.registry.read_bytes() == registry
    return result.stderr


def rows(library, number: int = 1, columns: str = "*") -> list[tuple[Any, ...]]:
    path = library.path / f"out/datasets/{SERVICE}/{number:04}/data.parquet"
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(f"select {columns} from read_parquet('{path}')").fetchall()


@pytest.fixture(scope="module")
def applied_library(built_library, tmp_path_factory):
    library = built_library.copy_to(tmp_path_factory.mktemp("datasets") / "project")
    library.apply()
    return library


@pytest.fixture
def applied(library):
    """A copy of the built library, applied, for one test to change."""
    library.apply()
    return library


# What is in a dataset


STORES = ["duckdb", "martfeast.offline_store.DuckDBAsofOfflineStore"]


@pytest.mark.parametrize("store", STORES)
def test_rows_labels_and_features_as_they_were_known(applied, store):
    """By hand from the seeds; loan 103 is still out, so it has no label."""
    applied.replace_in("feature_repo/feature_store.yaml", f"type: {STORES[1]}", f"type: {store}")
    record = dataset(applied)
    assert rows(
        applied,
        1,
        "member_id, branch_code, title_id, strftime(event_timestamp, '%m-%d %H:%M'), is_overdue,"
        " strftime(label_known_at, '%m-%d'), copies_free, loan_count_30d",
    ) == [
        (1, "north", 10, "03-02 00:00", False, "03-10", 4, 3),
        (1, "south", 10, "03-04 09:00", True, "03-20", 1, 3),
        (2, "north", 11, "03-04 09:00", False, "03-18", 7, 1),
    ]
    assert [(step["rows"], step["left_out"]) for step in record["steps"]] == [
        (4, {}),
        (4, {}),
        (4, {}),
        (3, {"not_returned": 1}),
    ]
    assert record["file"]["rows"] == 3


@pytest.mark.parametrize(
    ("store", "name", "config"),
    [
        (STORES[0], "loan_id", "{}"),
        (STORES[1], "order", "{}"),  # a word of SQL's own
        (STORES[1], "loan_id", "{meta: {feast: {entity: loan}}}"),  # of no feature view
    ],
)
def test_a_label_mart_whose_rows_have_a_key_of_their_own(library, store, name, config):
    """Two loans of one member, title and moment: two rows, through replay, dataset and drift."""
    library.replace_in("feature_repo/feature_store.yaml", f"type: {STORES[1]}", f"type: {store}")
    with (library.path / "seeds/loan_events.csv").open("a") as seed:
        seed.write("104,2,north,11,2026-03-04 09:00:00,2026-03-18 00:00:00,2026-03-19 00:00:00\n")
    key = f'cast(loans.loan_id as bigint) as "{name}"'
    library.replace_in(LABEL_SQL, "select\n", f"select\n    {key},\n")
    library.replace_in(
        YAML,
        """    data_tests:
      - martfeast.unique_grain:
          arguments: {columns: [member_id, title_id, predicted_at]}
    columns:
""",
        f"""    data_tests:
      - martfeast.unique_grain:
          arguments: {{columns: [{name}, predicted_at]}}
    columns:
      - name: {name}
        quote: true
        data_type: bigint
        description: The loan's number.
        config: {config}
        data_tests: [unique, not_null]
""",
    )
    library.replace_in(
        YAML,
        "          - martfeast.label_coverage:",
        "          - martfeast.label_consistency:\n"
        f"              arguments: {{to: ref('{LABELS}'), keys: [{name}], reported: is_overdue}}\n"
        "          - martfeast.label_coverage:",
    )
    library.lower("history_unchanged")
    built = library.dbt("build")
    assert built.returncode == 0, built.stdout
    library.replay()
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr
    record = dataset(library)
    found = rows(library, 1, f'"{name}", member_id, title_id, is_overdue, copies_free')
    assert found[1:] == [
        (101, 1, 10, True, 1),
        (102, 2, 11, False, 7),
        (104, 2, 11, True, 7),
    ]
    roles = {column["name"]: column["role"] for column in record["columns"]}
    assert roles[name] == ("key" if config == "{}" else "entity")
    changed = dataset(library, "--unlabelled", "keep")["changes"]
    assert "1 rows are new" in changed
    assert not any("has changed in" in change for change in changed), "rows are told apart"

    materialized = library.feast("materialize", "2026-02-01T00:00:00", "2026-03-09T00:00:00")
    assert materialized.returncode == 0, materialized.stderr
    drift = library.martfeast("drift", SERVICE, "served", "--json", cwd=library.path)
    assert json.loads(drift.stdout)["rows"] == [5, 5]


def test_rows_without_a_label_are_kept_and_marked_if_asked(applied):
    record = dataset(applied, "--unlabelled", "keep", "--as-of", "2026-03-20T11:00:00")
    found = rows(applied, 1, "member_id, branch_code, is_overdue, no_label_reason")
    assert found == [
        (1, "north", False, None),
        (1, "south", True, None),
        (2, "north", False, None),
        (2, "south", None, "not_returned"),
    ]
    assert record["steps"][-1]["step"].endswith("(without: 1 not_returned)")


def test_no_label_is_in_that_was_not_known_and_no_row_that_was_not_asked(applied):
    applied.replace_in("seeds/loan_events.csv", "2026-03-18 00:00:00\n", "2026-03-19 00:00:00\n")
    apply(applied)
    moment = "2026-03-20T10:59:59"
    record = dataset(applied, "--unlabelled", "keep", "--as-of", moment, "--until", "2026-03-08")
    assert rows(applied, 1, "member_id, branch_code, is_overdue, no_label_reason") == [
        (1, "north", False, None),
        (1, "south", None, "not_yet_known"),
        (2, "north", True, None),
    ]
    assert record["label_audit"]["labelled"] == 2


def test_train_and_test_are_apart_in_time(applied):
    """Train labels were known before the test period; what is neither is marked."""
    record = dataset(applied, "--test-from", "2026-03-04T09:00:00")
    assert rows(applied, 1, "member_id, branch_code, split") == [
        (1, "north", "between"),
        (1, "south", "test"),
        (2, "north", "test"),
    ]
    assert record["drift"] is None  # no train rows
    assert record["limits"][0].startswith("No train row has a label, so nothing can be learned")
    record = dataset(applied, "--unlabelled", "keep", "--test-from", "2026-03-08T12:00:00")
    assert record["limits"][1].startswith("No test row has a label, so nothing can be judged")
    assert [row[0] for row in rows(applied, 2, "split")] == ["between"] * 3 + ["test"]


def test_a_label_that_is_known_in_the_year_9999_is_not_known_yet(library):
    for old, new in (
        ("loan_returns.returned_at as", "coalesce(loan_returns.returned_at, '9999-12-31') as"),
        (
            "loan_returns.returned_at > loans.due_at as",
            "coalesce(loan_returns.returned_at > loans.due_at, false) as",
        ),
        ("loan_returns.returned_at is null then 'not_returned'", "loans.loan_id < 0 then ''"),
    ):
        library.replace_in(LABEL_SQL, old, new)
    apply(library)
    record = dataset(library, "--unlabelled", "keep")
    assert record["inputs"]["as_of"] < "2100"
    found = rows(library, 1, "member_id, branch_code, is_overdue, no_label_reason")
    assert found[-1] == (2, "south", None, "not_yet_known")
    assert record["label_audit"]["labelled"] == 3


def test_a_group_that_is_called_none_is_not_one_that_is_none(library):
    library.replace_in(YAML, "groups: [branch_code]", "groups: [region]")
    library.replace_in(
        YAML,
        "      - name: no_label_reason\n",
        "      - {name: region, data_type: varchar, description: The region.}\n"
        "      - name: no_label_reason\n",
    )
    region = "case loans.loan_id when 101 then '(none)' when 102 then 'b' end as region"
    library.replace_in(LABEL_SQL, "as no_label_reason", f"as no_label_reason, {region}")
    apply(library)
    (group,) = dataset(library)["groups"]
    assert {level["level"]: level["population_rows"] for level in group["levels"]} == {
        "(none)": 2,
        "'(none)'": 1,
        "b": 1,
    }


def test_the_record_says_where_every_column_comes_from(applied):
    record = dataset(applied)
    columns = {column["name"]: column for column in record["columns"]}
    assert {name: column["role"] for name, column in columns.items()} == {
        "member_id": "entity",
        "branch_code": "entity",
        "title_id": "entity",
        "event_timestamp": "asked at",
        "is_overdue": "label",
        "label_known_at": "label known at",
        **dict.fromkeys(
            (
                "waiting_days",
                "copies_free",
                "loan_count_30d",
                "overdue_share_30d",
                "is_student",
                "favourite_genres",
                "last_visit_at",
            ),
            "feature",
        ),
    }
    assert columns["copies_free"]["path"]["models"] == ["shelf_checks", TITLES]
    assert columns["copies_free"]["mart"] == TITLES
    assert (columns["copies_free"]["minimum"], columns["copies_free"]["maximum"]) == (1, 7)
    assert columns["waiting_days"]["missing_share"] == pytest.approx(1 / 3, rel=1e-5)
    for mart in record["inputs"]["marts"]:
        assert mart["version"] == applied.published_mart(mart["mart"])["version"]
    (group,) = record["groups"]
    assert [
        (level["level"], level["population_rows"], level["rows"]) for level in group["levels"]
    ] == [
        ("north", 2, 2),
        ("south", 2, 1),
    ]
    north = group["levels"][0]
    assert north["share_low"] < north["share"] == pytest.approx(2 / 3, rel=1e-5)
    assert north["share"] < north["share_high"]


def test_the_card_and_the_metadata_are_there_and_valid(applied):
    record = dataset(applied)
    folder = applied.path / f"out/datasets/{SERVICE}/0001"
    page = (folder / "card.html").read_text()
    assert record["file"]["sha256"] in page
    assert "1 of 4 rows (25.0%) have no label" in page
    described = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    found = [record["rows/is_overdue"] for record in described.records("rows")]
    assert found == [False, True, False]
    assert "25.0%" in json.dumps(json.loads((folder / "croissant.json").read_text()))


def test_feast_has_it_as_a_saved_dataset(applied):
    record = dataset(applied)
    from feast import FeatureStore

    with applied.inside(applied.path):
        saved = FeatureStore("feature_repo").get_saved_dataset(record["saved_dataset"])
        frame = saved.to_df()
    assert "copies_free" in frame
    assert sorted(frame["is_overdue"]) == [False, False, True]


# Built alike again


def test_the_same_inputs_give_the_same_bytes(applied):
    first = dataset(applied)
    folder = applied.path / f"out/datasets/{SERVICE}"
    data = (folder / "0001/data.parquet").read_bytes()
    again = applied.martfeast("dataset", SERVICE, cwd=applied.path)
    assert "version 1: there already, with the same inputs" in again.stdout
    shutil.rmtree(folder)
    assert dataset(applied)["file"]["sha256"] == first["file"]["sha256"]
    assert (folder / "0002/data.parquet").read_bytes() == data
    assert not (folder / "0002/data.parquet").stat().st_mode & 0o222, "it can be written to"


def test_a_changed_input_gives_a_new_version_and_says_what_changed(applied):
    dataset(applied)
    before = (applied.path / f"out/datasets/{SERVICE}/0001/data.parquet").read_bytes()
    applied.replace_in(
        "seeds/loan_events.csv",
        "103,2,south,10,2026-03-08 23:59:59,2026-03-22 00:00:00,",
        "103,2,south,10,2026-03-08 23:59:59,2026-03-22 00:00:00,2026-03-21 08:00:00",
    )
    applied.replace_in("seeds/shelf_checks.csv", "2026-03-02 08:00:00,1,", "2026-03-02 08:00:00,2,")
    applied.lower("history_unchanged")
    assert applied.dbt("build").returncode == 0
    applied.apply()
    record = dataset(applied)
    assert record["number"] == 2
    said = "\n".join(record["changes"])
    assert "as_of: 2026-03-20T11:00:00Z is now 2026-03-21T08:00:00Z" in said
    assert "1 rows are new" in said
    assert "copies_free has changed in 1 rows" in said
    assert "rows are gone" not in said
    assert "waiting_days has changed" not in said
    assert f"{LABELS}: version " in said
    assert (applied.path / f"out/datasets/{SERVICE}/0001/data.parquet").read_bytes() == before


def test_a_build_that_was_killed_leaves_nothing_that_is_taken_for_a_dataset(applied):
    for _ in range(2):
        building = applied.start("martfeast", "dataset", SERVICE)
        building.wait_for("measuring")
        building.kill()
    folder = applied.path / f"out/datasets/{SERVICE}"
    assert not list(folder.glob("[0-9]*"))
    assert len(list(folder.glob(".building-*"))) == 1, "what the first left is still there"
    assert dataset(applied)["number"] == 1
    assert not list(folder.glob(".building-*"))


def test_two_at_once_build_it_once(applied):
    both = [applied.start("martfeast", "dataset", SERVICE) for _ in range(2)]
    done = [command.wait() for command in both]
    assert [command.returncode for command in done] == [0, 0], done
    states = sorted(command.stdout.splitlines()[0] for command in done)
    assert states == [
        f"{SERVICE} version 1: built",
        f"{SERVICE} version 1: there already, with the same inputs",
    ]


def test_labels_and_features_are_of_one_build(applied):
    applied.replace_in("seeds/shelf_checks.csv", "2026-03-02 08:00:00,1,", "2026-03-02 08:00:00,2,")
    applied.lower("history_unchanged")
    applied.dbt("build")
    said = refusal(applied, SERVICE)
    assert f"{TITLES}  [not-applied]" in said
    assert "Run `feast apply`, so that labels and features are of one build." in said


def test_what_follows_from_the_record_is_drawn_again(applied):
    dataset(applied)
    folder = applied.path / f"out/datasets/{SERVICE}/0001"
    page = (folder / "card.html").read_bytes()
    (folder / "card.html").unlink()
    edited = (folder / "croissant.json").read_bytes()
    (folder / "croissant.json").chmod(0o644)
    (folder / "croissant.json").write_bytes(edited.replace(b"rows", b"lines"))
    dataset(applied)
    assert (folder / "croissant.json").read_bytes() == edited
    assert (folder / "card.html").read_bytes() == page


def test_a_number_is_never_used_twice(applied):
    """Not even when the dataset of that number is gone: Feast still knows it."""
    dataset(applied)
    shutil.rmtree(applied.path / f"out/datasets/{SERVICE}/0001")
    assert dataset(applied, "--unlabelled", "keep")["number"] == 2


def test_where_nothing_can_be_written_is_named(applied):
    (applied.path / "out/datasets").write_text("a file where the folder should be")
    result = applied.martfeast("dataset", SERVICE, cwd=applied.path)
    assert result.returncode == 2
    assert "A dataset cannot be written there: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_license_is_an_input_and_named_when_it_changes(applied):
    dataset(applied)
    applied.replace_in(
        "models/exposures.yml",
        "          label: {mart: loan_labels}\n",
        "          label: {mart: loan_labels}\n          license: https://library.example/terms\n",
    )
    applied.dbt("parse")
    record = dataset(applied)
    assert record["number"] == 2
    assert record["changes"] == ["license:  is now https://library.example/terms"]


def test_nan_is_missing_in_training_and_in_serving_and_infinity_is_a_limit(applied):
    applied.replace_in(SQL, "    waiting_days,", "    'nan'::float as waiting_days,")
    # No integer, so that it is a value of the label as well.
    applied.replace_in(
        LABEL_SQL,
        "loan_returns.returned_at > loans.due_at as is_overdue",
        "case when loans.title_id = 11 then 'inf'::double when loans.branch_code = 'south'"
        " then 1e308 else 'nan'::double end as is_overdue",
    )
    applied.replace_in(
        YAML, "is_overdue\n        data_type: boolean", "is_overdue\n        data_type: double"
    )
    applied.replace_in(YAML, "{minimum: 0, maximum: 1}", "{minimum: 0, maximum: \"'inf'\"}")
    apply(applied)
    record = dataset(applied)
    waiting = next(one for one in record["columns"] if one["name"] == "waiting_days")
    assert (waiting["missing_share"], waiting["distinct"]) == (1, 0)
    assert "Empty in every row: waiting_days." in record["limits"]
    trusted = "When rows were known is taken on trust where nothing under a model says it: "
    assert f"{trusted}loan_returns; loans." in record["limits"]
    infinite = "Infinite, and left out of means, least and greatest values: is_overdue in 1 rows."
    assert infinite in record["limits"]
    assert (record["label_audit"]["labelled"], record["label_audit"]["base_rate"]) == (2, 1e308)
    assert {row[0] for row in rows(applied, 1, "is_overdue")} == {1e308, math.inf}
    materialized = applied.feast("materialize", "2026-02-01T00:00:00", "2026-03-09T00:00:00")
    assert materialized.returncode == 0, materialized.stderr
    answer = applied.martfeast("drift", SERVICE, "served", "--json", cwd=applied.path)
    columns = {one["column"]: one for one in json.loads(answer.stdout)["columns"]}
    assert columns["waiting_days"]["missing_shares"] == [1, 1]
    assert columns["waiting_days"]["psi"] == 0


def test_a_label_that_is_a_number_is_not_called_a_share(applied):
    applied.replace_in(
        LABEL_SQL,
        "loan_returns.returned_at > loans.due_at as is_overdue",
        "cast(date_diff('day', loans.due_at, loan_returns.returned_at) as integer) as is_overdue",
    )
    applied.replace_in(
        YAML,
        "      - name: is_overdue\n        data_type: boolean",
        "      - name: is_overdue\n        data_type: integer",
    )
    applied.replace_in(YAML, "{minimum: 0, maximum: 1}", "{minimum: -10, maximum: 10}")
    apply(applied)
    record = dataset(applied)
    assert [row[0] for row in rows(applied, 1, "is_overdue")] == [-6, 2, 0]
    assert any("mean of the label moves between -6 and 1 " in limit for limit in record["limits"])
    assert all(level["base_rate_low"] is None for level in record["groups"][0]["levels"])
    page = (applied.path / f"out/datasets/{SERVICE}/0001/card.html").read_text()
    assert "Mean of the label" in page
    assert "Base rate" not in page


def test_a_record_that_is_not_as_written_is_not_handed_out(applied):
    dataset(applied)
    record = applied.path / f"out/datasets/{SERVICE}/0001/dataset.json"
    record.chmod(0o644)
    text = record.read_text()
    for damaged, said in (
        ("{", "it is cut off or no JSON"),
        (text.replace('"rows": 3', '"rows": 4', 1), "it was edited after it was written"),
        (text.replace('"limits": [', '"limits": ["None.", ', 1), "it was edited"),
        (text.replace('"format": 2', '"format": 3', 1), "of a newer martfeast"),
    ):
        assert damaged != text
        record.write_text(damaged)
        refused = refusal(applied, SERVICE)
        assert "This record of a dataset cannot be used" in refused
        assert said in refused
        drift = applied.martfeast("drift", SERVICE, cwd=applied.path)
        assert (drift.returncode, said in drift.stderr) == (2, True)
    # What an older martfeast wrote stays as it is, and its number is not used again.
    record.write_text(text.replace('"format": 2', '"format": 1', 1))
    assert dataset(applied)["number"] == 2
    record.write_text(text)
    assert dataset(applied)["number"] == 1


def test_a_file_that_was_changed_is_not_handed_out(applied):
    dataset(applied)
    data = applied.path / f"out/datasets/{SERVICE}/0001/data.parquet"
    data.chmod(0o644)
    whole = data.read_bytes()
    for content, said in (
        (whole + b"x", "bytes, and was written with"),
        (b"x" * len(whole), "has other bytes"),
    ):
        data.write_bytes(content)
        refused = refusal(applied, SERVICE)
        assert said in refused
        assert "Remove " in refused


# Bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["overdue_predictions"], "There is no such exposure of type ml. Did you mean"),
        (
            [SERVICE, "--from", "2027-01-01", "--until", "2027-02-01"],
            "No row is asked from 2027-01-01T00:00:00Z until 2027-02-01T00:00:00Z, and by"
            " 2026-03-20T11:00:00Z. Its rows are from 2026-03-02T00:00:00Z to",
        ),
        (
            [SERVICE, "--as-of", "2026-03-09"],
            "was known by 2026-03-09T00:00:00Z. The first of them was known at"
            " 2026-03-10T12:00:00Z: choose a later --as-of.",
        ),
        (
            [SERVICE, "--from", "2026-03-08"],
            "No row of this time range has a label: choose another range.",
        ),
        (
            [SERVICE, "--as-of", "2026-03-19"],
            "is False, so there is nothing to learn. Choose a longer time range.",
        ),
        (
            [SERVICE, "--test-from", "2027-01-01"],
            "--test-from is 2027-01-01T00:00:00Z, not within the rows",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(applied_library, arguments, said):
    assert said in refusal(applied_library, *arguments)


def test_an_exposure_without_a_label_and_one_that_is_not_applied(applied):
    applied.replace_in("models/exposures.yml", "          label: {mart: loan_labels}\n", "")
    applied.dbt("parse")
    assert "It names no label, so there is nothing to learn. Add label:" in refusal(
        applied, SERVICE
    )
    applied.replace_in(
        "models/exposures.yml",
        "            member_activity_daily: all\n",
        "            member_activity_daily: [is_student]\n          label: {mart: loan_labels}\n",
    )
    applied.dbt("parse")
    assert "Feast has other features of it than dbt. Run `feast apply`" in refusal(applied, SERVICE)


@pytest.mark.parametrize(
    ("value", "said"), [("'north'", "of one value"), ("cast(null as varchar)", "null")]
)
def test_a_group_that_divides_nothing_is_refused(applied, value, said):
    applied.replace_in(YAML, "groups: [branch_code]", "groups: [region]")
    applied.replace_in(
        YAML,
        "      - name: no_label_reason\n",
        "      - {name: region, data_type: varchar, description: The region.}\n"
        "      - name: no_label_reason\n",
    )
    applied.replace_in(LABEL_SQL, "as no_label_reason", f"as no_label_reason, {value} as region")
    apply(applied)
    assert f"The group column is {said} in all rows" in refusal(applied, SERVICE)


# Audits of labels


def test_an_audit_of_nothing_fails(library):
    library.replace_in(YAML, LENIENT_AUDITS, STRICT_AUDITS)
    (library.path / LABEL_SQL).write_text((library.path / LABEL_SQL).read_text() + "\nwhere 1 = 0")
    library.said("build", succeeds=False)
    results = json.loads((library.path / "target/run_results.json").read_text())["results"]
    failed = " ".join(result["unique_id"] for result in results if result["status"] == "fail")
    for audit in ("label_coverage", "label_base_rate", "label_maturity"):
        assert f"martfeast_{audit}_{LABELS}" in failed


TWIN = """
models:
  - name: loan_labels_of_branches
    config:
      meta:
        feast: {timestamp: predicted_at, label: {column: is_lent, known_at: predicted_at}}
    columns:
      - {name: branch_code, data_type: varchar, config: {meta: {feast: {entity: branch}}}}
      - {name: predicted_at, data_type: timestamp}
      - {name: is_lent, data_type: boolean}
"""


def test_an_audit_knows_its_mart_from_one_whose_name_begins_alike(library):
    """Also where names are not quoted."""
    models = library.path / "models"
    (models / "loan_labels_of_branches.sql").write_text(
        "select branch_code, predicted_at, true as is_lent from {{ ref('loan_labels') }}"
    )
    (models / "lent_label_audit.sql").write_text(
        "{{ martfeast.label_audit(ref('loan_labels_of_branches')) }}"
    )
    (models / "lent.yml").write_text(TWIN)
    off = "quoting: {database: false, schema: false, identifier: false}\n"
    project = library.path / "dbt_project.yml"
    project.write_text(project.read_text() + off)
    built = library.dbt("build", "-s", "+lent_label_audit")
    assert built.returncode == 0, built.stdout
    assert library.query("select distinct group_column, base_rate from lent_label_audit") == [
        ("all", 1)
    ]


def test_an_audit_counts_by_group_and_month(library):
    (library.path / "models/marts/loan_label_audit.sql").write_text(
        "{{ martfeast.label_audit(ref('loan_labels')) }}"
    )
    (library.path / "models/marts/loan_label_censoring.sql").write_text(
        "{{ martfeast.label_censoring(ref('loan_labels')) }}"
    )
    assert library.dbt("build", "-s", "loan_label_audit", "loan_label_censoring").returncode == 0
    columns = "group_column, group_value, row_count, labelled_count, base_rate"
    assert library.query(
        f"select {columns} from loan_label_audit where period_start is null order by all"
    ) == [
        ("all", "all", 4, 3, 1 / 3),
        ("branch_code", "north", 2, 2, 0),
        ("branch_code", "south", 2, 1, 1),
    ]
    assert library.query(
        "select period_start::varchar, maturity_median_minutes from loan_label_audit"
        " where group_column = 'all' and period_start is not null"
    ) == [("2026-03-01 00:00:00", 13 * 24 * 60 + 15 * 60)]
    assert library.query("from loan_label_censoring order by all") == [
        ("all", "all", "not_returned", 1, 0.25),
        ("branch_code", "south", "not_returned", 1, 0.5),
    ]


LENIENT_AUDITS = """          - martfeast.label_coverage:
              arguments: {minimum_share: 0}
          - martfeast.label_base_rate:
              arguments: {minimum: 0, maximum: 1}
"""
STRICT_AUDITS = """          - martfeast.label_coverage:
              arguments: {minimum_share: 0.5, minimum_share_by_group: 0.4, minimum_rows: 2}
          - martfeast.label_base_rate:
              arguments:
                {minimum: 0.1, maximum: 0.9, maximum_difference_by_group: 0.8, minimum_rows: 2}
          - martfeast.label_maturity:
              arguments: {maximum_hours: 1000}
          - martfeast.label_consistency:
              arguments:
                to: ref('loan_events')
                keys: [member_id, title_id, branch_code]
                reported: returned_at > due_at
"""
BROKEN_THRESHOLDS = [
    {
        "label_coverage": ("minimum_share: 0.5,", "minimum_share: 0.8,"),
        "label_base_rate": ("maximum: 0.9,", "maximum: 0.3,"),
        "label_maturity": ("maximum_hours: 1000", "maximum_hours: 100"),
        "label_consistency": ("returned_at > due_at", "returned_at >= due_at"),
    },
    {
        "label_coverage": ("minimum_share_by_group: 0.4", "minimum_share_by_group: 0.6"),
        "label_base_rate": ("by_group: 0.8, minimum_rows: 2", "by_group: 0.3, minimum_rows: 2"),
    },
    {"label_base_rate": ("minimum: 0.1,", "minimum: 0.4,")},
]


@pytest.mark.parametrize("broken", BROKEN_THRESHOLDS)
def test_a_broken_threshold_holds_the_label_mart_back_or_warns(library, broken):
    build = "build", "--select", LABELS
    library.replace_in(YAML, LENIENT_AUDITS, STRICT_AUDITS)
    assert library.dbt(*build).returncode == 0
    for old, new in broken.values():
        library.replace_in(YAML, old, new)
    library.said(*build, succeeds=False)
    results = json.loads((library.path / "target/run_results.json").read_text())["results"]
    failed = {result["unique_id"] for result in results if result["status"] == "fail"}
    for audit in broken:
        assert any(f".martfeast_{audit}_{LABELS}" in name for name in failed), audit
    assert len(failed) == len(broken)
    assert library.published_mart(LABELS)["held_back"]

    for audit in broken:
        lowered = f"martfeast.{audit}:\n              config: {{severity: warn}}\n"
        library.replace_in(YAML, f"martfeast.{audit}:\n", lowered)
    library.said(*build)
    mart = library.published_mart(LABELS)
    assert not mart["held_back"]
    assert len(mart["warnings"]) == len(broken)


# Drift


def test_drift_is_measured_against_declared_thresholds(applied):
    dataset(applied)
    dataset(applied, "--unlabelled", "keep")
    both = (f"{SERVICE}/1", f"{SERVICE}/2")
    alike = applied.martfeast("drift", *both, cwd=applied.path)
    assert alike.returncode == 0, alike.stdout + alike.stderr
    assert alike.stdout.splitlines()[-1] == "no drift in 8 columns"
    stricter = ("--threshold", "is_overdue=0.1", "--threshold", "0.2")
    apart = applied.martfeast("drift", *both, *stricter, cwd=applied.path)
    assert apart.returncode == 1
    assert apart.stdout.splitlines()[-1] == "drifted: is_overdue"
    applied.replace_in(
        "models/exposures.yml",
        "          label: {mart: loan_labels}\n",
        "          label: {mart: loan_labels}\n"
        "          drift: {threshold: 0.063, features: {waiting_days: 9, copies_free: 9}}\n",
    )
    applied.dbt("parse")
    declared = applied.martfeast("drift", *both, "--json", cwd=applied.path)
    drifted = [c["column"] for c in json.loads(declared.stdout)["columns"] if c["has_drifted"]]
    assert sorted(drifted) == [
        "favourite_genres",
        "is_overdue",
        "is_student",
        "last_visit_at",
        "loan_count_30d",
        "overdue_share_30d",
    ]


def test_drift_asks_for_no_key_of_a_view_that_is_not_served(applied):
    """Feast gives no answer for such a key."""
    applied.replace_in(YAML, "          online: true\n", "          online: false\n")
    applied.dbt("parse")
    applied.apply()
    dataset(applied)
    applied.feast("materialize", "2026-02-01T00:00:00", "2026-03-09T00:00:00")
    answer = applied.martfeast("drift", SERVICE, "served", "--json", cwd=applied.path)
    report = json.loads(answer.stdout)
    assert f"not served online: {TITLES}" in report["left_out"]
    assert report["rows"] == [3, 4]
    applied.replace_in(YAML, "          ttl: 7 days\n", "          online: false\n")
    applied.dbt("parse")
    applied.apply()
    refused = applied.martfeast("drift", SERVICE, "served", cwd=applied.path)
    assert refused.returncode == 2
    assert "None of its features is served online." in refused.stderr


def test_drift_against_what_is_served(applied):
    dataset(applied)
    nothing = applied.martfeast("drift", SERVICE, cwd=applied.path)
    assert nothing.returncode == 2
    assert "The online store has nothing for the newest rows of loan_labels." in nothing.stderr
    materialized = applied.feast("materialize", "2026-02-01T00:00:00", "2026-03-09T00:00:00")
    assert materialized.returncode == 0, materialized.stderr
    answer = applied.martfeast("drift", SERVICE, "served", "--json", cwd=applied.path)
    report = json.loads(answer.stdout)
    assert report["rows"] == [3, 4]
    assert not any("nothing is served" in line for line in report["left_out"])
    assert {column["column"] for column in report["columns"]} >= {"copies_free", "is_student"}
    assert "only before: is_overdue" in report["left_out"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing/1"], "There is no such dataset."),
        ([f"{SERVICE}/7"], "`martfeast dataset <exposure>` builds one."),
        ([SERVICE, "served", "--threshold", "copies=x"], "is not a threshold"),
    ],
)
def test_drift_names_what_is_not_there(applied_library, arguments, said):
    result = applied_library.martfeast("drift", *arguments, cwd=applied_library.path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert said in result.stderr
