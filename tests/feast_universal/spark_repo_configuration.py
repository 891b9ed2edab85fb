"""Tells Feast's own universal tests to run against this project's offline store on Spark.

As asof_repo_configuration.py says, in an environment with requirements-spark.lock too, and with
FULL_REPO_CONFIGS_MODULE=spark_repo_configuration; FEAST_IS_LOCAL_TEST=True spares it what the
clouds need.
"""

from asof_repo_configuration import AVAILABLE_ONLINE_STORES, AsofDataSourceCreator
from martfeast.offline_store import SparkAsofOfflineStoreConfig

# Small enough for small data.
SPARK = {"spark.master": "local[2]", "spark.sql.shuffle.partitions": "2"}


class SparkDataSourceCreator(AsofDataSourceCreator):
    """Parquet files, read by the Spark store."""

    def create_offline_store_config(self) -> SparkAsofOfflineStoreConfig:  # type: ignore[override]
        """Return the settings of the store under test."""
        return SparkAsofOfflineStoreConfig(spark_conf=SPARK)


AVAILABLE_OFFLINE_STORES = [("local", SparkDataSourceCreator)]
__all__ = ["AVAILABLE_OFFLINE_STORES", "AVAILABLE_ONLINE_STORES"]
