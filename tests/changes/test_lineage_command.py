"""`martfeast lineage` on a project that was built."""

import json

import pytest

MART = "member_activity_daily"


@pytest.mark.slow
def test_a_column_says_where_it_comes_from_and_what_it_feeds(library):
    done = library.martfeast("lineage", f"{MART}.overdue_share_30d", cwd=library.path)
    assert done.returncode == 0, done.stderr
    assert "member_days.overdue_share_30d" in done.stdout
    assert f"{MART}:overdue_share_30d" in done.stdout and "overdue_prediction" in done.stdout

    # The manifest of another command than a whole build has no compiled SQL: dbt compiles it then.
    library.said("parse", "--no-partial-parse")
    done = library.martfeast("lineage", "member_days.overdue_share_30d", "--json", cwd=library.path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert f"{MART}.overdue_share_30d" in said["downstream"]
    assert f"{MART}:overdue_share_30d" in said["features"]
    assert said["exposures"] == ["overdue_prediction"]
    assert said["untraced_downstream"] == {}


def test_names_that_are_not_there_are_refused(library):
    for name, message in (
        ("nothing", "It is no column"),
        ("member_activity.overdue_share_30d", f"Did you mean '{MART}'?"),
        (f"{MART}.overdue_share_30", "Did you mean 'overdue_share_30d'?"),
    ):
        done = library.martfeast("lineage", name, cwd=library.path)
        assert done.returncode == 2
        assert message in done.stderr and "Traceback" not in done.stderr
