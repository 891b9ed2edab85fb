"""The offline store beside Feast's own duckdb store, on the flights and where that one is wrong."""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RegistryConfig, RepoConfig
from feast.types import Int64
from pyarrow import parquet

ASOF = {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"}
FEAST = {"type": "duckdb"}
ROWS = 3000


def store_with(offline_store: dict[str, str], registry: Path) -> FeatureStore:
    config = RepoConfig(
        project="nyc_flights",
        provider="local",
        registry=RegistryConfig(path=str(registry)),
        offline_store=offline_store,
        online_store={"type": "sqlite", "path": str(registry.with_suffix(".online"))},
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=config)


def test_every_exposed_view_equals_feasts_own_store(project: Path, run: Run) -> None:
    settings = project / "dbt_project.yml"
    published = "    published_path: {dev: data/published, spark: data/spark/published}\n"
    text = settings.read_text()
    assert published in text
    # Two stores over the same files are compared: that these are no leaks is shown elsewhere.
    settings.write_text(text.replace(published, f"{published}    criteria: {{replayed: warn}}\n"))
    run("dbt", "parse", cwd=project)
    run("feast", "apply", cwd=project / "feature_repo")
    registry = project / "feature_repo/data/registry.db"
    ours, theirs = store_with(ASOF, registry), store_with(FEAST, registry)
    views = ours.list_feature_views()
    assert len(views) == 7
    labels = sorted((project / "data/published/marts").glob("*late_arrival_labels/*.parquet"))
    keys = ["flight_id", "carrier_code", "origin_airport_code", "route_code", "tail_number"]
    spine = pd.read_parquet(labels[-1], columns=[*keys, "predicted_at"])
    spine = spine.sample(ROWS, random_state=13, ignore_index=True)
    for view in views:
        features = [f"{view.name}:{field.name}" for field in view.features]
        found = ours.get_historical_features(entity_df=spine, features=features).to_df()
        assert found["flight_id"].tolist() == spine["flight_id"].tolist()
        expected = theirs.get_historical_features(entity_df=spine, features=features).to_df()
        expected = expected.set_index("flight_id").loc[spine["flight_id"]].reset_index()
        for field in view.features:
            left, right = found[field.name].astype(object), expected[field.name].astype(object)
            assert left.isna().tolist() == right.isna().tolist(), field.name
            assert left.dropna().tolist() == right.dropna().tolist(), field.name


@pytest.fixture
def two_stores(tmp_path: Path) -> list[FeatureStore]:
    table = pa.table(
        {
            "k": [1, 2],
            "ts": [datetime(2026, 3, 1)] * 2,
            "weekday_y": pa.array([1, 2], pa.int64()),
            "trips": pa.array([10, 20], pa.int64()),
        }
    )
    parquet.write_table(table, tmp_path / "facts.parquet")
    entity = Entity(name="k", join_keys=["k"], value_type=ValueType.INT64)
    view = FeatureView(
        name="v",
        entities=[entity],
        schema=[Field(name="weekday_y", dtype=Int64), Field(name="trips", dtype=Int64)],
        source=FileSource(name="v", path=str(tmp_path / "facts.parquet"), timestamp_field="ts"),
        ttl=timedelta(0),
    )
    stores = [store_with(kind, tmp_path / "registry.db") for kind in (ASOF, FEAST)]
    stores[0].apply([entity, view])
    return stores


def test_where_feasts_own_store_is_wrong(two_stores: list[FeatureStore]) -> None:
    ours, theirs = two_stores
    moments = pd.to_datetime(["2026-03-02"] * 3, utc=True)
    spine = pd.DataFrame({"k": [2, 3, 1], "event_timestamp": moments})

    frame = ours.get_historical_features(entity_df=spine, features=["v:trips"]).to_df()
    assert frame["trips"].dtype == pd.Int64Dtype()
    assert frame["trips"].fillna(-1).tolist() == [20, -1, 10]
    frame = theirs.get_historical_features(entity_df=spine, features=["v:trips"]).to_df()
    assert frame["trips"].dtype == "float64"  # an integer is none any more

    frame = ours.get_historical_features(entity_df=spine, features=["v:weekday_y"]).to_df()
    assert frame["weekday_y"].fillna(-1).tolist() == [2, -1, 1]
    with pytest.raises(Exception, match="weekday_y"):
        theirs.get_historical_features(entity_df=spine, features=["v:weekday_y"]).to_df()
