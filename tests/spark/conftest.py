"""One Spark for all tests of a process."""

from collections.abc import Iterator
from typing import Any

import pytest
from martfeast.engines.spark import spark_session


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The session that runs in this process, small enough for tests."""
    session = spark_session(
        {
            "spark.master": "local[2]",
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.driver.host": "localhost",
        }
    )
    yield session
    session.stop()
