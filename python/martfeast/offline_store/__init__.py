"""The offline stores, under the names that stand in users' feature_store.yaml."""

from martfeast.offline_store.columns import OfflineDataError
from martfeast.offline_store.spark_store import SparkAsofOfflineStore, SparkAsofOfflineStoreConfig
from martfeast.offline_store.store import DuckDBAsofOfflineStore, DuckDBAsofOfflineStoreConfig

__all__ = [
    "DuckDBAsofOfflineStore",
    "DuckDBAsofOfflineStoreConfig",
    "OfflineDataError",
    "SparkAsofOfflineStore",
    "SparkAsofOfflineStoreConfig",
]
