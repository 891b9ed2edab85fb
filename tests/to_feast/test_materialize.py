"""`martfeast materialize`: the online store follows releases, whatever the dates of the rows."""

import json
import signal
import sqlite3
from datetime import datetime

import pytest
from conftest import Library

MARTS = "models/marts/_marts__models.yml"
SEED = "seeds/shelf_checks.csv"
VIEW = "title_availability"
ALL = "1970-01-01T00:00:00", "2026-11-01T00:00:00"
KEYS = [
    {"branch_code": code, "title_id": title}
    for code, title in (("north", 10), ("north", 11), ("south", 10), ("east", 12))
]


def store_of(library):
    from feast import FeatureStore

    return FeatureStore(str(library.path / "feature_repo"))


def served(library):
    found = store_of(library).get_online_features(
        features=[f"{VIEW}:copies_free", f"{VIEW}:waiting_days"], entity_rows=KEYS
    )
    found = found.to_dict()
    return list(zip(found["copies_free"], found["waiting_days"], strict=True))


def online_rows(library):
    """All that the online store has, but for when a row was published."""
    with sqlite3.connect(library.path / "feature_repo/data/online_store.db") as connection:
        return {
            name: sorted(
                connection.execute(f"select entity_key, feature_name, value, event_ts from {name}")
            )
            for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        }


def materialize(library, *arguments):
    return library.martfeast("materialize", *arguments, cwd=library.path)


def release(library, *changes, lowered=()):
    """Publish and apply other rows of the view's seed."""
    for old, new in changes:
        library.replace_in(SEED, old, new)
    library.lower("replayed", "history_unchanged", *lowered)
    result = library.dbt("build")
    assert result.returncode == 0, result.stdout
    applied = library.feast("apply")
    assert applied.returncode == 0, applied.stderr


def as_from_nothing(library, path):
    """What a full `feast materialize` into an empty store leaves."""
    other = library.copy_to(path)
    (path / "feature_repo/data/online_store.db").unlink()
    assert other.feast("apply").returncode == 0
    done = other.feast("materialize", *ALL)
    assert done.returncode == 0, done.stderr
    return online_rows(other)


@pytest.fixture(scope="module")
def materialized(built_library, tmp_path_factory):
    library = built_library.copy_to(tmp_path_factory.mktemp("materialized") / "project")
    assert library.feast("apply").returncode == 0
    first = materialize(library)
    assert first.returncode == 0, first.stderr
    assert "title_availability: 3 keys written" in first.stdout
    assert "because this is the first run" in first.stdout
    return library


@pytest.fixture
def copy(materialized, tmp_path):
    return materialized.copy_to(tmp_path / "project")


def test_every_kind_of_change_reaches_the_online_store(copy, tmp_path):
    assert online_rows(copy) == as_from_nothing(copy, tmp_path / "first")
    assert served(copy) == [(0, 6.25), (7, None), (1, 1.5), (None, None)]
    again = materialize(copy)
    assert "title_availability: 0 keys written" in again.stdout
    release(
        copy,
        ("north,10,2026-03-03 08:00:00,0,6.25", "north,10,2026-03-03 08:00:00,2,3.25"),
        ("south,10,2026-03-02 08:00:00,1,1.5,S-9", "east,12,2026-01-02 08:00:00,5,0.5,E-1"),
    )
    versions = copy.versions()
    status = copy.martfeast("status", cwd=copy.path)
    said = " ".join(status.stdout.split())
    assert f"published is {versions[VIEW]}; run" in said
    assert "`martfeast materialize`" in said
    assert "member_activity_daily serves" not in said
    found = json.loads(copy.martfeast("status", "--json", cwd=copy.path).stdout)["online"]
    assert [(one["mart"], one["published"]) for one in found] == [(VIEW, versions[VIEW])]

    done = materialize(copy)
    told = f"title_availability: 3 keys written, 1 of them gone; version {versions[VIEW]} after"
    assert told in done.stdout
    assert "member_activity_daily: 0 keys written" in done.stdout
    # The key that is gone has nulls; all others are as after a full materialization.
    assert served(copy) == [(2, 3.25), (7, None), (None, None), (5, 0.5)]
    whole = as_from_nothing(copy, tmp_path / "then")
    for table, rows in whole.items():
        assert set(rows) <= set(online_rows(copy)[table])
    assert "online:" not in copy.martfeast("status", cwd=copy.path).stdout


def test_what_cannot_be_compared_is_written_whole(copy):
    record = copy.path / "feature_repo/data/materialized.json"
    text = record.read_text()

    def why(*arguments):
        done = materialize(copy, VIEW, *arguments)
        assert done.returncode == 0, done.stderr
        assert "title_availability: 3 keys written" in done.stdout
        assert served(copy)[:3] == [(0, 6.25), (7, None), (1, 1.5)]
        return done.stdout

    # An older interval, materialized later, overwrites newer values.
    assert copy.feast("materialize", "2026-02-01T00:00:00", "2026-03-02T00:00:00").returncode == 0
    assert served(copy)[0] == (4, 0.5)
    said = " ".join(copy.martfeast("status", cwd=copy.path).stdout.split())
    assert f"online: {VIEW} may serve older values in place of newer ones" in said
    assert "an interval up to 2026-03-02 00:00:00 UTC" in said
    assert "member_activity_daily may" in said  # Feast's command takes every view
    assert "others have materialized it since" in why()
    said = " ".join(copy.martfeast("status", VIEW, cwd=copy.path).stdout.split())
    assert "older values" not in said
    assert "0 keys written" in materialize(copy, VIEW).stdout
    record.write_text(text.replace('"views"', '"viewz"'))
    assert "cannot be used" in why()
    record.unlink()
    assert "first run" in why()
    with sqlite3.connect(copy.path / "feature_repo/data/online_store.db") as connection:
        connection.execute("delete from library_title_availability")
    assert "the online store lacks keys" in why()
    version = copy.published / copy.published_mart(VIEW)["path"]
    release(copy, ("shelf_mark", "shelf_mark\nwest,13,2026-03-01 08:00:00,1,0.5,W-1"))
    version.unlink()
    done = materialize(copy, VIEW)
    assert "4 keys written" in done.stdout
    assert f"version {version.stem} does not exist" in " ".join(done.stdout.split())


def test_an_interrupted_run_is_followed_by_a_whole_one(copy):
    """A table that is missing stands for an online store that fails."""
    database = copy.path / "feature_repo/data/online_store.db"
    (copy.path / "feature_repo/data/materialized.json").unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("alter table library_title_availability rename to elsewhere")
    failed = materialize(copy)
    assert failed.returncode == 2
    assert "[online-store-unusable]" in failed.stderr
    assert "member_activity_daily" in failed.stdout
    with sqlite3.connect(database) as connection:
        connection.execute("alter table elsewhere rename to library_title_availability")
    done = materialize(copy)
    assert "member_activity_daily: 0 keys written" in done.stdout
    assert "because no run has finished with it" in done.stdout


def test_a_row_waits_until_it_is_known(copy, monkeypatch):
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 3, 2, 12, tzinfo=tz)

    (copy.path / "feature_repo/data/materialized.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("martfeast.to_feast.materialize.datetime", Earlier)
        assert materialize(copy, VIEW).returncode == 0
    assert served(copy) == [(4, 0.5), (7, None), (1, 1.5), (None, None)]
    assert "title_availability: 1 keys written" in materialize(copy, VIEW).stdout
    assert served(copy)[0] == (0, 6.25)


def test_columns_of_other_types_are_written_whole(copy):
    copy.replace_in(
        "models/marts/title_availability.sql",
        "waiting_days,",
        "waiting_days::double as waiting_days,",
    )
    copy.replace_in(MARTS, "data_type: float", "data_type: double")
    release(copy, lowered=["schema_compatible"])
    done = " ".join(materialize(copy, VIEW).stdout.split())
    assert "title_availability: 3 keys written" in done
    assert "had columns of other types" in done
    assert served(copy)[0] == (0, 6.25)


# A third-party online store that a kill ends within a write, if the environment says so.
KILLED_STORE = """
import os, signal
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig

class KilledSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    type: str = "killed_store.KilledSqliteOnlineStore"

class KilledSqliteOnlineStore(SqliteOnlineStore):
    def online_write_batch(self, config, table, data, progress):
        super().online_write_batch(config, table, data[:2], progress)
        if "KILLED" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        super().online_write_batch(config, table, data[2:], progress)
"""


def test_a_kill_within_a_write_is_followed_by_a_whole_run(copy, monkeypatch, tmp_path):
    (copy.path / "killed_store.py").write_text(KILLED_STORE)
    copy.replace_in(
        "feature_repo/feature_store.yaml", "sqlite", "killed_store.KilledSqliteOnlineStore"
    )
    monkeypatch.syspath_prepend(copy.path)
    monkeypatch.setattr(Library, "python_path", f"{Library.python_path}:{copy.path}")
    monkeypatch.setenv("KILLED", "1")
    killed = copy.run("martfeast", "materialize", VIEW)
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.delenv("KILLED")
    done = materialize(copy, VIEW)
    assert "title_availability: 3 keys written" in done.stdout
    assert "because no run has finished with it" in " ".join(done.stdout.split())
    assert served(copy)[:3] == [(0, 6.25), (7, None), (1, 1.5)]


def test_what_is_refused_names_the_view_and_the_next_step(copy):
    unknown = materialize(copy, "title_availabilty")
    assert unknown.returncode == 2
    assert "Did you mean 'title_availability'?" in unknown.stderr
    import duckdb

    path = copy.published / copy.published_mart(VIEW)["path"]
    with duckdb.connect() as connection:
        connection.execute(f"create table rows as from '{path}'")
        connection.execute("update rows set branch_code = null where title_id = 11")
        connection.execute(f"copy rows to '{path}' (format parquet)")
    assert "[file-unusable]" in materialize(copy, VIEW).stderr
    # Of a file that was not published by martfeast, nothing is known.
    view = store_of(copy).get_feature_view(VIEW)
    view.batch_source.tags = {}
    store_of(copy).apply([view])
    before = online_rows(copy)
    refused = materialize(copy)
    assert refused.returncode == 1
    assert "title_availability.branch_code  [key-null]" in refused.stderr
    assert online_rows(copy) == before
    path.unlink()
    refused = materialize(copy, VIEW)
    assert "[file-unusable]" in refused.stderr
