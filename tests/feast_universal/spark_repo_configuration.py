"""Tells Feast's own universal tests to run against this project's offline store on Spark.

As asof_repo_configuration.py says, in an environment with requirements-spark.lock too, and with
FULL_REPO_CONFIGS_MODULE=spark_repo_configuration.
"""

from martfeast.offline_store import SparkAsofOfflineStoreConfig
from tests.universal.feature_repos.universal.data_sources.file import (  # type: ignore[import-not-found]
    FileDataSourceCreator,
)

# Small enough for small data.
SPARK = {"spark.master": "local[2]", "spark.sql.shuffle.partitions": "2"}


class SparkDataSourceCreator(FileDataSourceCreator):  # type: ignore[misc]
    """Parquet files, read by the Spark store."""

    def create_offline_store_config(self) -> SparkAsofOfflineStoreConfig:
        """Return the settings of the store under test."""
        return SparkAsofOfflineStoreConfig(spark_conf=SPARK)


AVAILABLE_OFFLINE_STORES = [("local", SparkDataSourceCreator)]
AVAILABLE_ONLINE_STORES = {"sqlite": ({"type": "sqlite"}, None)}
