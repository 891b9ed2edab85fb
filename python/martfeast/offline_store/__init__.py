"""The offline store, under the name that stands in users' feature_store.yaml."""

from martfeast.offline_store.columns import OfflineDataError
from martfeast.offline_store.store import DuckDBAsofOfflineStore, DuckDBAsofOfflineStoreConfig

__all__ = ["DuckDBAsofOfflineStore", "DuckDBAsofOfflineStoreConfig", "OfflineDataError"]
