"""The Spark store named in a feature store's settings, and beside Feast's own Spark store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from pyarrow import parquet

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]
OURS = {"type": "martfeast.offline_store.SparkAsofOfflineStore"}
DUCKDB = {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"}
FEASTS = {"type": "spark"}
SCHEMA = [Field(name="k", dtype=String), Field(name="j", dtype=String)]
MARCH = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A feature repo whose one view has a tie, a gap, and keys that concatenate alike."""
    (tmp_path / "data").mkdir()
    duckdb.execute(
        "copy (from (values ('a', 'bc', timestamp '2026-03-01', timestamp '2026-03-01', 1::bigint),"
        " ('ab', 'c', timestamp '2026-03-01', timestamp '2026-03-01', 2),"
        " ('t', 't', timestamp '2026-03-01', timestamp '2026-03-02', 3),"
        " ('t', 't', timestamp '2026-03-01', timestamp '2026-03-02', 4),"
        " ('n', 'n', timestamp '2026-03-01', timestamp '2026-03-02', null))"
        f" as t (k, j, ts, created, trips)) to '{tmp_path}/data/facts.parquet' (format parquet)"
    )
    return tmp_path


def store_of(folder: Path, offline_store: dict[str, Any]) -> FeatureStore:
    """A feature store with that view, and an on-demand view of ours."""
    kind = offline_store["type"].rsplit(".", 1)[-1]
    path = str(folder / "data/facts.parquet")
    times: dict[str, Any] = {"timestamp_field": "ts", "created_timestamp_column": "created"}
    source: Any = FileSource(name="facts", path=path, **times)
    if offline_store == FEASTS:
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

        source = SparkSource(name="facts", path=path, file_format="parquet", **times)
    keys = [Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in ("k", "j")]
    view = FeatureView(
        name="v",
        entities=keys,
        schema=[*SCHEMA, Field(name="trips", dtype=Int64)],
        source=source,
        ttl=timedelta(days=10),
    )

    def halves(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"half": inputs["trips"].astype("Float64") / 2})

    half = Field(name="half", dtype=Float64)
    on_demand: Any = on_demand_feature_view(sources=[view], schema=[half])
    config = RepoConfig(
        project="test",
        provider="local",
        registry=str(folder / f"{kind}.registry"),
        online_store={"type": "sqlite", "path": str(folder / f"{kind}.online")},
        offline_store=offline_store,
        repo_path=folder,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply([*keys, view, *([on_demand(halves)] if offline_store != FEASTS else [])])
    return store


def rows() -> pd.DataFrame:
    """Entity rows, in an order of their own."""
    keys = [("t", "t"), ("ab", "c"), ("n", "n"), ("a", "bc")]
    return pd.DataFrame(keys, columns=["k", "j"]).assign(event_timestamp=MARCH)


def test_a_feature_store_gives_with_it_what_it_gives_with_duckdb(folder):
    frames, online = [], []
    for settings in (OURS, DUCKDB):
        store = store_of(folder, settings)
        job = store.get_historical_features(rows(), ["v:trips", "halves:half"])
        frames.append(job.to_df())
        path = folder / f"set-{len(frames)}.parquet"
        store.create_saved_dataset(job, f"set{len(frames)}", SavedDatasetFileStorage(str(path)))
        frames.append(parquet.read_table(path).to_pandas())
        store.materialize(datetime(2026, 2, 1, tzinfo=UTC), MARCH)
        keys = [{"k": k, "j": j} for k, j in zip(rows()["k"], rows()["j"], strict=True)]
        online.append(store.get_online_features(["v:trips", "halves:half"], keys).to_dict())
    ours, saved, theirs, theirs_saved = frames
    pd.testing.assert_frame_equal(ours, theirs)
    pd.testing.assert_frame_equal(saved, theirs_saved)
    assert ours["trips"].fillna(-1).tolist() == [4, 2, -1, 1]
    assert ours["trips"].dtype == pd.Int64Dtype()
    assert ours["half"].fillna(-1).tolist() == [2, 1, -1, 0.5]
    assert online[0] == online[1]
    assert online[0]["trips"][1:] == [2, None, 1]  # of a tie, Feast's engine itself takes one


@pytest.fixture
def as_it_was(spark: Any) -> Iterator[Any]:
    """Put back what Feast's store sets on the session, and drop its views."""
    setting = "spark.sql.parser.quotedRegexColumnNames"
    yield spark
    spark.conf.set(setting, "false")
    for view in spark.catalog.listTables():
        spark.catalog.dropTempView(view.name)


def test_where_feasts_own_spark_store_differs(folder, as_it_was):
    """Its answers on the same rows, in UTC: two rows for a tie, keys that collide, no order."""
    ours = store_of(folder, OURS).get_historical_features(rows(), ["v:trips"]).to_df()
    assert ours["trips"].fillna(-1).tolist() == [4, 2, -1, 1]
    assert as_it_was.conf.get("spark.sql.parser.quotedRegexColumnNames") == "false"
    assert as_it_was.catalog.listTables() == []

    theirs = store_of(folder, FEASTS).get_historical_features(rows(), ["v:trips"]).to_df()
    found = theirs.groupby("k")["trips"].apply(lambda values: sorted(values.dropna())).to_dict()
    assert len(theirs) > len(ours)
    assert found["t"] == [3, 4]
    assert found["a"] != [1] or found["ab"] != [2]
    assert theirs["trips"].dtype == "float64"
    assert as_it_was.conf.get("spark.sql.parser.quotedRegexColumnNames") == "true"
    assert [view.name for view in as_it_was.catalog.listTables()]

    # What it left does not change our answer.
    again = store_of(folder, OURS).get_historical_features(rows(), ["v:trips"]).to_df()
    pd.testing.assert_frame_equal(again, ours)
