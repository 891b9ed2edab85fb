"""The Spark session, and what is said where Spark cannot run."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from martfeast.engines.spark import METASTORE, check_java, spark_session
from martfeast.extras import MissingExtraError
from martfeast.problems import DeclarationError


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it look as if no session runs; one that does is not touched."""
    pytest.importorskip("pyspark", reason="`make spark` installs it")
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    def none() -> None:
        raise PySparkRuntimeError("none")

    monkeypatch.setattr(SparkSession, "active", none)


@pytest.mark.slow
def test_a_session_that_runs_is_taken_as_it_is(spark: Any) -> None:
    assert spark_session({"spark.sql.shuffle.partitions": "77"}) is spark
    assert spark.conf.get("spark.sql.shuffle.partitions") == "2"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.parquet.inferTimestampNTZ.enabled") == "false"
    assert spark.sparkContext.uiWebUrl is None


def java_of(folder: Path, version: str) -> Path:
    """Make a folder that JAVA_HOME can be, whose Java says that it is of a version."""
    java = folder / "bin/java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize(("version", "number"), [("1.8.0_292", "8"), ("11.0.2", "11")])
def test_an_old_java_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_session: None, version: str, number: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_of(tmp_path, version)))
    with pytest.raises(DeclarationError, match=rf"Java 17 or later, and .* is {number}\. Install"):
        spark_session()


@pytest.mark.parametrize("version", ["17", "17.0.15", "21-ea", "25.0.1"])
def test_a_later_java_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_of(tmp_path, version)))
    check_java()


def test_no_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_session: None) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeclarationError, match=r"needs Java, and no Java is here\. Install Java"):
        spark_session()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(DeclarationError, match=r"JAVA_HOME is .*, and no Java runs from there"):
        spark_session()


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'martfeast\[spark\]'"):
        spark_session()


def test_the_offline_store_and_the_command_import_without_pyspark() -> None:
    script = (
        "import sys; sys.modules['pyspark'] = None\n"
        "import martfeast.offline_store, martfeast.engines.spark, martfeast.cli"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_session_of_spark_connect_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="`make spark` installs it")
    monkeypatch.setattr("pyspark.sql.utils.is_remote", lambda: True)
    with pytest.raises(DeclarationError, match="Unset SPARK_REMOTE"):
        spark_session()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("metastore_db", {}),
        ("elsewhere", {METASTORE: "jdbc:derby:;databaseName=elsewhere;create=true"}),
        ("home/metastore_db", {"spark.driver.extraJavaOptions": "-Xss4m -Dderby.system.home=home"}),
    ],
)
def test_a_metastore_that_another_process_has_open_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_session: None,
    name: str,
    options: dict[str, str],
) -> None:
    """Derby locks this file as fcntl does."""
    (tmp_path / name).mkdir(parents=True)
    lock = tmp_path / name / "dbex.lck"
    script = f"import fcntl, sys; f = open({str(lock)!r}, 'w'); fcntl.lockf(f, {fcntl.LOCK_EX});"
    script += "print(flush=True); sys.stdin.read()"
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(
            DeclarationError, match=rf"Process {holder.pid} has Hive's metastore {tmp_path}/{name}"
        ):
            spark_session(options, hive=True)
        holder.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [name.split("/")[0]]
