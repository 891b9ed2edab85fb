"""What is published stays whole, and its past stays what it was, or it is said."""

from datetime import datetime, timedelta

import pytest

ACTIVITY, TITLES, LABELS = "member_activity_daily", "title_availability", "loan_labels"
SQL, YAML = f"models/marts/{TITLES}.sql", "models/marts/_marts__models.yml"
LATER_ROW = "north,10,2026-03-09 08:00:00,2,0.5,N-1\n"


def restated(library, mart: str = TITLES) -> tuple[int, int]:
    record = library.published_mart(mart)
    return record["restated_row_count"], record["covered_row_count"]


def status(library, mart: str = TITLES) -> str:
    return " ".join(library.martfeast("status", mart, cwd=library.path).stdout.split())


def seed(library, edit) -> None:
    path = library.path / "seeds/shelf_checks.csv"
    path.write_text(edit(path.read_text()))
    assert library.dbt("build").returncode == 0


def with_restatement(library, declared: str) -> None:
    """Declare it for title_availability, whose meta.feast comes second in the file."""
    yaml = library.path / YAML
    head, tail = yaml.read_text().split(f"  - name: {TITLES}\n")
    time = "          timestamp: known_at\n"
    assert time in tail
    tail = tail.replace(time, f"{time}          restatement: {declared}\n", 1)
    yaml.write_text(f"{head}  - name: {TITLES}\n{tail}")


def test_rows_of_times_gone_by_that_change_are_counted_until_they_are_back(library):
    original = (library.path / "seeds/shelf_checks.csv").read_text()
    # What is new is no restatement.
    seed(library, lambda text: text + LATER_ROW)
    assert restated(library) == (0, 4)
    assert "history_unchanged: ok" in status(library)

    seed(library, lambda text: text.replace("1,1.5,", "2,1.5,"))
    assert restated(library) == (1, 5)
    said = status(library)
    assert "history_unchanged: FAIL" in said
    assert "Of 5 rows that were published before, 1 are lost or others in version" in said
    refused = library.feast("apply")
    assert f"{TITLES}  [history_unchanged]" in refused.stderr

    # The next rows, and builds that change nothing, do not wash it away.
    seed(library, lambda text: text + LATER_ROW.replace("03-09", "03-10"))
    assert restated(library) == (1, 5)
    assert library.dbt("build").returncode == 0
    assert restated(library) == (1, 5)

    # What history is compared with is not pruned, however old it is.
    library.replace_in("dbt_project.yml", "replay:", "keep_releases: 1\n    replay:")
    assert library.martfeast("prune", cwd=library.path).returncode == 0

    # Lost rows count as changed ones do.
    seed(library, lambda text: "\n".join(text.splitlines()[:2]) + "\n")
    assert restated(library)[0] == 4

    seed(library, lambda _: original + LATER_ROW)
    assert restated(library) == (0, 5)
    assert "history_unchanged: ok" in status(library)


def test_a_restatement_may_be_declared(library):
    with_restatement(library, "{expected: The shelves were counted anew.}")
    seed(library, lambda text: text.replace("1,1.5,", "2,1.5,"))
    assert restated(library) == (1, 4)
    assert "history_unchanged: ok" in status(library)
    # From then on it is the new history that is kept.
    library.replace_in(YAML, "{expected: The shelves were counted anew.}", "{tolerance_share: 0.2}")
    assert library.dbt("build").returncode == 0
    seed(library, lambda text: text.replace("2,1.5,", "3,1.5,"))
    assert restated(library) == (1, 4)
    assert "1 are lost or others" in status(library)
    library.replace_in(YAML, "tolerance_share: 0.2", "tolerance_share: 0.3")
    assert library.dbt("parse").returncode == 0
    assert "history_unchanged: ok" in status(library)


def test_a_new_column_or_another_last_digit_is_no_restatement(library):
    library.replace_in(SQL, "waiting_days,", "waiting_days * (1 + 1e-9) as waiting_days,")
    library.replace_in(SQL, "    shelf_mark\n", "    shelf_mark,\n    1 as one\n")
    library.replace_in(
        YAML,
        "      - name: shelf_mark\n",
        "      - {name: one, data_type: integer, description: One.}\n      - name: shelf_mark\n",
    )
    library.replace_in(SQL, "waiting_days * (1 + 1e-9)", "cast(waiting_days * (1 + 1e-9) as float)")
    assert library.dbt("build").returncode == 0
    assert restated(library) == (0, 4)


def test_another_time_column_restates_everything(library):
    (library.path / SQL).write_text(
        (library.path / SQL).read_text().replace("known_at", "known_at as seen_at")
    )
    yaml = library.path / YAML
    head, rest = yaml.read_text().split(f"  - name: {TITLES}\n")
    mart, tail = rest.split("  - name: loan_labels\n")
    mart = mart.replace("known_at", "seen_at")
    yaml.write_text(f"{head}  - name: {TITLES}\n{mart}  - name: loan_labels\n{tail}")
    assert library.dbt("build").returncode == 0
    assert restated(library) == (4, 4)


def test_labels_that_become_known_are_no_restatement(library):
    path = library.path / "seeds/loan_events.csv"
    lines = path.read_text().splitlines()
    open_loan = next(number for number, line in enumerate(lines) if line.endswith(","))
    returned = [*lines]
    returned[open_loan] += "2026-04-01 00:00:00"
    path.write_text("\n".join(returned) + "\n")
    assert library.dbt("build").returncode == 0
    assert restated(library, LABELS) == (0, 3)
    # A label that was known and is another one now is.
    text = path.read_text()
    path.write_text(text.replace("2026-03-10 12:00:00", "2026-03-19 12:00:00"))
    assert library.dbt("build").returncode == 0
    assert restated(library, LABELS)[0] == 1


MICROBATCH = (
    "{{ config(materialized='incremental', incremental_strategy='microbatch', begin='2026-03-01',"
    " batch_size='month', event_time='known_at', on_schema_change='fail') }}\n"
)


@pytest.fixture
def microbatch(library):
    """A mart by the month, with facts of March and of May."""
    text = (library.path / SQL).read_text()
    (library.path / SQL).write_text(MICROBATCH + text)
    library.replace_in("seeds/shelf_checks.csv", "10,2026-03-02", "10,2026-05-02")
    return library


WINDOW = ["--event-time-start", "2026-03-01", "--event-time-end", "2026-04-01"]
TOMORROW = f"{datetime.now() + timedelta(days=1):%Y-%m-%d}"
LATER = ["--event-time-start", "2026-04-01", "--event-time-end", TOMORROW]


def test_windows_are_published_when_they_leave_no_gap(microbatch):
    library = microbatch
    versions = library.versions()
    library.execute(f"drop table {TITLES}")
    gaps = {
        ("--full-refresh", *LATER): "2026-03-01T00:00 --to 2026-04-01T00:00",
        ("--full-refresh", *WINDOW): "2026-04-01T00:00 --to 2026-05-01T00:00",
    }
    for command, gap in gaps.items():
        said = library.said("build", *command)
        (line,) = [line for line in said if f"held back: {TITLES}" in line]
        assert f"{TITLES} has no rows of 2026-" in line
        assert f"(martfeast backfill {TITLES} --from {gap})" in line
        assert library.versions() == versions
    library.said("build", *LATER)
    assert library.published_mart(TITLES)["held_back"] == []
    assert library.versions() != versions
    # Of a whole mart, batches may be made again.
    library.replace_in("seeds/shelf_checks.csv", "4,0.5,", "5,0.5,")
    said = library.said("build", *WINDOW)
    assert f"published (rows): {TITLES} 4" in said[1]


def test_a_window_from_the_beginning_on_is_the_whole(microbatch):
    library = microbatch
    library.execute(f"drop table {TITLES}")
    library.said("build", "--event-time-start", "2026-03-01", "--event-time-end", TOMORROW)
    assert library.published_mart(TITLES)["held_back"] == []
