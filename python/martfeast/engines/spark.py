"""The Spark session that martfeast works in: the running one, or a local one.

pyspark is imported when a session is asked for, and not before.
"""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from martfeast.causes import Cause
from martfeast.extras import extra
from martfeast.files import lock_holder
from martfeast.problems import refusal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_NEEDED = 17
SPARK_NEEDED = 4
# What a session has that is started here, unless it is told otherwise.
LOCAL = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
# A gateway is there where spark-submit started Python: it has chosen a master, and runs Java.
SUBMITTED = "PYSPARK_GATEWAY_PORT"
METASTORE = "spark.hadoop.javax.jdo.option.ConnectionURL"
JAVA_OPTIONS = ("spark.driver.defaultJavaOptions", "spark.driver.extraJavaOptions")
DERBY = "jdbc:derby:;databaseName=metastore_db;create=true"  # where Spark keeps it unless told


def spark_session(
    options: Mapping[str, str] | None = None, *, hive: bool = False
) -> "SparkSession":
    """Return the session that runs in this process, as it is, or start one on this machine.

    Args:
        options: settings of a session that is started, by Spark's names; they come before those
            that it has otherwise: master ``local[*]``, time zone UTC, no web page, errors only in
            the log, and Parquet's timestamps without zone read as ones with. A session that runs
            already keeps its own.
        hive: whether tables are kept in Hive's metastore; asked only of a session that is started.

    Raises:
        MissingExtraError: pyspark is not installed.
        DeclarationError: pyspark is older than 4.0 or connected to a server by Spark Connect; Java
            is missing or older than 17; another process has the metastore open.

    """
    with extra("spark"):
        import pyspark
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    if int(pyspark.__version__.split(".")[0]) < SPARK_NEEDED:
        raise refusal(
            "spark",
            "spark-version",
            f"pyspark is {pyspark.__version__}, and {SPARK_NEEDED}.0 or later is needed.",
            "Run `pip install 'martfeast[spark]'`.",
        )
    from pyspark.sql.utils import is_remote

    if is_remote():
        raise refusal(
            "spark",
            "spark-connect",
            "The session is one of Spark Connect, which has no session beside it to work in.",
            "Unset SPARK_REMOTE, and start a session with a master.",
        )
    try:
        running = SparkSession.active()
        if running.sparkContext._jsc is not None:
            return running
    except PySparkRuntimeError:
        pass  # none runs
    return _started(dict(options or {}), hive)


def check_java() -> None:
    """See that the Java is there that Spark would take: JAVA_HOME's, or else the first on PATH.

    Raises:
        DeclarationError: there is none, or it is too old.

    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin/java")) if home else shutil.which("java")
    advice = (
        f"Install Java {JAVA_NEEDED} (`make java`, or Debian's openjdk-{JAVA_NEEDED}-jre-headless),"
        " or set JAVA_HOME to where one is."
    )
    try:
        said = subprocess.run(
            [java or "java", "-version"], capture_output=True, text=True, check=True
        ).stderr
    except (OSError, subprocess.CalledProcessError):
        where = f"JAVA_HOME is {home}, and no Java runs from there" if home else "no Java is here"
        raise refusal("spark", "java-missing", f"Spark needs Java, and {where}.", advice) from None
    found = re.search(r'version "(?:1\.)?(\d+)[^"]*"', said)
    if found and int(found[1]) < JAVA_NEEDED:
        message = f"Spark needs Java {JAVA_NEEDED} or later, and {java} is {found[1]}."
        raise refusal("spark", "java-version", message, advice)


def _started(options: dict[str, str], hive: bool) -> "SparkSession":
    """Start a session."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("martfeast")
    if SUBMITTED not in os.environ:
        check_java()
        builder = builder.config("spark.master", "local[*]")
    for name, value in {**LOCAL, **options}.items():
        builder = builder.config(name, value)
    if hive:
        _check_metastore(options)
        builder = builder.enableHiveSupport()
    # pyspark logs each error of a query as JSON, besides raising it.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    return builder.getOrCreate()


def _check_metastore(options: Mapping[str, str]) -> None:
    """See that no other process has Hive's metastore open, which Derby lets in one at a time.

    Spark itself tries for most of a minute, and then says in thousands of lines something else.

    Raises:
        DeclarationError: one has.

    """
    url = options.get(METASTORE, DERBY)
    named = re.match(r"jdbc:derby:(?:.*;databaseName=)?([^;]+)", url)
    if named is None:
        return  # a database that several processes share
    java = " ".join(options.get(name, "") for name in JAVA_OPTIONS)
    home = re.search(r"-Dderby\.system\.home=(\S+)", java)
    folder = Path(home[1] if home else "", named[1]).absolute()
    process = lock_holder(folder / "dbex.lck")
    if process is not None:
        raise refusal(
            "spark",
            "metastore-in-use",
            f"Process {process} has Hive's metastore {folder} open, and Derby lets in one at a"
            " time.",
            "Wait until it ends (a `dbt build --target spark`, a Spark shell), or set"
            f" {METASTORE} to another metastore.",
            cause=Cause.INFRASTRUCTURE,
        )
