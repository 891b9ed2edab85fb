"""Tells Feast's own universal tests to run against this project's offline store.

They are in Feast's repository, not in its package. From a checkout of it, in an environment with
requirements.lock and what its tests import (testcontainers, minio, boto3, kubernetes, assertpy,
pytest-asyncio, pytest-env, pytest-lazy-fixtures)::

    cd feast/sdk/python
    export PYTHONPATH=$PWD:<this project>/python:<this project>/tests/feast_universal
    export FULL_REPO_CONFIGS_MODULE=asof_repo_configuration
    python -m pytest --integration -k "not s3 and not Redis" \
        tests/integration/offline_store/test_universal_historical_retrieval.py \
        tests/integration/offline_store/test_universal_materialization.py \
        tests/integration/materialization/test_universal_materialization.py
"""

from martfeast.offline_store import DuckDBAsofOfflineStoreConfig
from tests.universal.feature_repos.universal.data_sources.file import (  # type: ignore[import-not-found]
    FileDataSourceCreator,
)


class AsofDataSourceCreator(FileDataSourceCreator):  # type: ignore[misc]
    """Parquet files, read by the ASOF store."""

    def create_offline_store_config(self) -> DuckDBAsofOfflineStoreConfig:
        """Return the settings of the store under test."""
        return DuckDBAsofOfflineStoreConfig()


AVAILABLE_OFFLINE_STORES = [("local", AsofDataSourceCreator)]
AVAILABLE_ONLINE_STORES = {"sqlite": ({"type": "sqlite"}, None)}
