"""The exit code of every command says who is to act: docs/orchestration.md has the table."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner
from martfeast.causes import Cause, cause_of, cause_said
from martfeast.options import RefusingCommand
from martfeast.problems import DeclarationError, Problem

DONE, EVIDENCE, USAGE, INFRASTRUCTURE = 0, 1, 2, 3
SERVICE = "overdue_prediction"
# Connects to a port of this machine at which nobody listens.
UNREACHABLE_STORE = """
import socket
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig

class UnreachableSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    type: str = "unreachable_store.UnreachableSqliteOnlineStore"

class UnreachableSqliteOnlineStore(SqliteOnlineStore):
    def online_write_batch(self, config, table, data, progress):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        socket.create_connection(("127.0.0.1", port))
"""


def nothing(library) -> None:
    """Leave the library as it is: built, replayed and ready."""


def alone(library) -> None:
    """Leave the copy of a command that writes as the library is."""


def without_a_version(library) -> None:
    (library.published / library.published_mart("title_availability")["path"]).unlink()


def with_a_wrong_duration(library) -> None:
    library.replace_in("models/marts/_marts__models.yml", "7 days", "2 dyas")
    assert library.dbt("parse").returncode == 0


def without_a_manifest(library) -> None:
    (library.path / "target/manifest.json").unlink()


def without_a_feature_repo(library) -> None:
    (library.path / "feature_repo/feature_store.yaml").unlink()


def with_no_release_to_keep(library) -> None:
    library.replace_in(
        "dbt_project.yml", "    published_path", "    keep_releases: 0\n    published_path"
    )


def with_a_damaged_release(library) -> None:
    (library.published / "current.json").write_text("{")


def with_an_online_store_that_is_not_reached(library) -> None:
    (library.path / "unreachable_store.py").write_text(UNREACHABLE_STORE)
    library.replace_in(
        "feature_repo/feature_store.yaml",
        "sqlite",
        "unreachable_store.UnreachableSqliteOnlineStore",
    )
    library.apply()


def with_a_warehouse_that_is_no_database(library) -> None:
    (library.path / "library.duckdb").write_text("no database")


CASES: dict[str, tuple[Callable[..., None], str, int, str]] = {
    "ready": (nothing, "status", DONE, "ready: 2 feature views"),
    "nothing to prune": (nothing, "prune --dry-run", DONE, "would remove 0 files"),
    "the gate refuses": (without_a_version, "status", EVIDENCE, "[published]"),
    "it refuses a dataset": (without_a_version, f"dataset {SERVICE}", EVIDENCE, "[published]"),
    "no such mart": (nothing, "status nowhere", USAGE, "[mart-unknown]"),
    "no such mart to replay": (nothing, "replay --select nowhere", USAGE, "[mart-unknown]"),
    "no such model to make": (
        alone,
        "backfill nowhere --from 2026-03-01 --to 2026-03-02",
        USAGE,
        "[model-unknown]",
    ),
    "no such model to describe": (nothing, "scaffold nowhere", USAGE, "[model-unknown]"),
    "no such exposure": (nothing, "dataset nowhere", USAGE, "[exposure-unknown]"),
    "no such dataset": (nothing, "drift nowhere/1 nowhere/2", USAGE, "[dataset-unknown]"),
    "no such option": (nothing, "status --nowhere", USAGE, "No such option"),
    "no such moment": (nothing, "backfill x --from soon --to 2026-03-02", USAGE, "Invalid value"),
    "no such target": (nothing, "publish --target nowhere", USAGE, "[profile-unreadable]"),
    "no project": (nothing, "status --project-dir seeds", USAGE, "[project-missing]"),
    "no project to set up": (nothing, "init --project-dir seeds", USAGE, "[project-missing]"),
    "no variables": (nothing, "status --vars n", USAGE, "[vars-unreadable]"),
    "a wrong declaration": (with_a_wrong_duration, "status", USAGE, "2 dyas"),
    "a wrong setting": (with_no_release_to_keep, "prune", USAGE, "[wrong-value]"),
    "nothing built": (without_a_manifest, "status", USAGE, "[artifacts-missing]"),
    "nothing applied": (nothing, "reroot", USAGE, "[registry-missing]"),
    "no feature repo": (without_a_feature_repo, "materialize", USAGE, "[feature-store-missing]"),
    "a damaged release": (with_a_damaged_release, "prune", USAGE, "[release-unreadable]"),
    "an online store that is not there": (
        with_an_online_store_that_is_not_reached,
        "materialize",
        INFRASTRUCTURE,
        "Connection refused",
    ),
    "a database that cannot be opened": (
        with_a_warehouse_that_is_no_database,
        "publish",
        INFRASTRUCTURE,
        "[database-unreadable]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_says_who_is_to_act(request, monkeypatch, case):
    prepare, command, code, said = CASES[case]
    library = request.getfixturevalue("built_library" if prepare is nothing else "library")
    monkeypatch.syspath_prepend(library.path)
    prepare(library)
    done = library.martfeast(*command.split(), cwd=library.path)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (without_a_version, EVIDENCE, "[published]"),
        (with_a_wrong_duration, USAGE, "2 dyas"),
    ],
)
def test_feast_apply_exits_as_martfeast_does(library, prepare, code, said):
    prepare(library)
    refused = library.feast("apply")
    assert (refused.returncode, said in refused.stderr) == (code, True)
    assert "Traceback" not in refused.stderr


@contextmanager
def held_by_another(database: Path) -> Iterator[None]:
    """Let another process have a database open."""
    context = multiprocessing.get_context("spawn")
    is_open, may_end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(database, is_open, may_end))
    process.start()
    try:
        assert is_open.wait(60)
        yield
    finally:
        may_end.set()
        process.join()


def hold(database, is_open, may_end) -> None:
    with duckdb.connect(database):
        is_open.set()
        may_end.wait(60)


def test_what_duckdb_says_of_a_lock_is_worth_a_retry_and_what_it_says_of_a_query_is_not(tmp_path):
    database = tmp_path / "some.duckdb"
    with held_by_another(database), pytest.raises(duckdb.IOException) as locked:
        duckdb.connect(database)
    assert cause_of(locked.value) is Cause.INFRASTRUCTURE
    # So dbt passes it on.
    assert cause_said(f"Runtime Error in model a: {locked.value}") is Cause.INFRASTRUCTURE
    with duckdb.connect(database) as connection:
        for query in ("select x", "select 'x'::int", f"from '{tmp_path}/*.parquet'"):
            with pytest.raises(duckdb.Error) as wrong:
                connection.execute(query)
            assert cause_of(wrong.value, Cause.EVIDENCE) is Cause.EVIDENCE
            assert cause_said(str(wrong.value), Cause.EVIDENCE) is Cause.EVIDENCE


def test_of_several_causes_the_one_counts_that_is_to_be_mended_first():
    def cause(*causes: Cause) -> Cause:
        problems = [Problem("x", "rule", "It is so.", "Mend it.", cause=one) for one in causes]
        return DeclarationError(problems).cause

    assert cause(Cause.EVIDENCE, Cause.USAGE, Cause.INFRASTRUCTURE) is Cause.USAGE
    assert cause(Cause.INFRASTRUCTURE, Cause.EVIDENCE) is Cause.EVIDENCE
    assert cause(Cause.INFRASTRUCTURE, Cause.INFRASTRUCTURE) is Cause.INFRASTRUCTURE


def test_an_error_of_the_engine_that_nobody_caught_is_a_sentence(built_library, monkeypatch):
    def fail(*_, **__) -> None:
        raise duckdb.IOException('IO Error: Could not set lock on file "x": in use (PID 1)')

    monkeypatch.setattr("martfeast.replay.project.replay_project", fail)
    done = built_library.martfeast("replay", cwd=built_library.path)
    assert done.returncode == INFRASTRUCTURE
    assert done.stderr.startswith('Error: IOException: IO Error: Could not set lock on file "x"')


def test_what_is_interrupted_says_so_as_a_shell_does():
    @click.command(cls=RefusingCommand)
    def waits():
        raise KeyboardInterrupt

    done = CliRunner().invoke(waits)
    assert (done.exit_code, done.stderr) == (130, "Interrupted.\n")
