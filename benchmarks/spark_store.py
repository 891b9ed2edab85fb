"""Measure the Spark store against Feast's own Spark store, and our DuckDB store beside them.

``python benchmarks/spark_store.py [--quick]`` writes benchmarks/spark_store.md. Each way runs in a
process of its own, in Spark's local mode, on data made for it, the ways taking turns: seconds of
each of two retrievals in one session, from an entity frame in memory to the training set in pandas
(imports and the start of Java left out; the first of a session compiles what the second finds). A
ratio is of two measurements of one run on one machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

FOLDER = Path(__file__).parent
LIMIT_SECONDS = 900
TTL = timedelta(days=7)
WAYS = {
    "this store, on Spark": {"type": "martfeast.offline_store.SparkAsofOfflineStore"},
    "this store, on Spark, by window": {"type": "martfeast.offline_store.SparkAsofOfflineStore"},
    "Feast's Spark store": {"type": "spark"},
    "our DuckDB store": {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"},
}


def make(folder: Path, rows: int, facts: int) -> None:
    """Write two views of so many rows, of 1,000 keys over a year, and entity rows."""
    for number in range(2):
        duckdb.execute(
            f"copy (select (i % 1000)::bigint as k, timestamp '2025-01-01' + to_seconds("
            f"(hash(i * 13 + {number}) % 31536000)::bigint) as known_at,"
            f" (hash(i) % 100)::bigint as trips_{number}, random() as fare_{number}"
            f" from range({facts}) as t(i)) to '{folder}/view_{number}.parquet' (format parquet)"
        )
    duckdb.execute(
        "copy (select (hash(i) % 1000)::bigint as k, timestamp '2025-01-01' + to_seconds("
        "(hash(i * 7 + 1) % 31536000)::bigint) as event_timestamp, i as n"
        f" from range({rows}) as t(i)) to '{folder}/spine.parquet' (format parquet)"
    )


def feature_store(folder: Path, offline_store: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return a feature store over the views, and all their features."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.types import Float64, Int64

    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / f"{os.getpid()}.registry"),
        online_store={"type": "sqlite", "path": str(folder / f"{os.getpid()}.online")},
        offline_store=offline_store,
        entity_key_serialization_version=3,
    )
    key = Entity(name="k", join_keys=["k"], value_type=ValueType.INT64)
    views = []
    for number in range(2):
        given: dict[str, Any] = {
            "name": f"s{number}",
            "path": str(folder / f"view_{number}.parquet"),
        }
        source: Any = FileSource(**given, timestamp_field="known_at")
        if offline_store["type"] == "spark":
            source = SparkSource(**given, file_format="parquet", timestamp_field="known_at")
        fields = [Field(name=f"trips_{number}", dtype=Int64)]
        fields.append(Field(name=f"fare_{number}", dtype=Float64))
        name = f"v{number}"
        view = FeatureView(name=name, entities=[key], schema=fields, source=source, ttl=TTL)
        views.append(view)
    store = FeatureStore(config=config)
    store.apply([key, *views])
    refs = [f"v{number}:{name}_{number}" for number in range(2) for name in ("trips", "fare")]
    return store, refs


def one(way: str, folder: Path) -> dict[str, Any]:
    """Run one way twice in this process."""
    from martfeast.engines.spark import spark_session
    from martfeast.offline_store import spark_session as own_session

    if "DuckDB" not in way:
        spark_session({"spark.driver.memory": "4g"}).range(1).count()
    if "window" in way:
        own_session.ASOF_JOIN = ("spark.sql.join.notThere.enabled",)
    store, refs = feature_store(folder, WAYS[way])
    spine = duckdb.execute(f"from '{folder}/spine.parquet'").df()
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        frame = store.get_historical_features(entity_df=spine, features=refs).to_df()
        seconds.append(time.monotonic() - started)
    whole = frame[["trips_0", "trips_1"]].fillna(-1).astype("int64")
    totals = [int(whole[name].sum()) for name in whole]
    return {"seconds": seconds, "rows": len(frame), "totals": totals}


def measure(way: str, folder: Path) -> dict[str, Any]:
    """Run one way in a process of its own; return what it found, or why it found nothing."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--one", way, str(folder)]
    try:
        done = subprocess.run(
            command, timeout=LIMIT_SECONDS, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return {"why": f"over {LIMIT_SECONDS} s"}
    if not answer.exists():
        return {"why": f"failed: {(done.stderr.strip().splitlines() or ['killed'])[-1][:90]}"}
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def main() -> None:
    """Run every way, or with --one a single one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, folder = options.one
        (Path(folder) / "answer.json").write_text(json.dumps(one(way, Path(folder))))
        return
    unit = 100 if options.quick else 1
    rows, facts = 100_000 // unit, 1_000_000 // unit
    load = os.getloadavg()[0]
    results = {}
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), rows, facts)
        for way in WAYS:
            results[way] = measure(way, Path(name))
            print(way, results[way], flush=True)
    ours = results["this store, on Spark"]
    lines = [
        "# The Spark store, measured",
        "",
        "Written by `make measure-spark-store` (benchmarks/spark_store.py), which says how. "
        f"{os.cpu_count()} cores, Spark's local mode; load before the run {load:.1f}.",
        "",
        f"{rows:,} entity rows against two views of {facts:,} rows of 1,000 keys, TTL 7 days.",
        "",
        "| way | first, seconds | second, seconds | next to this store | rows | same features |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for way, found in results.items():
        if "why" in found:
            lines.append(f"| {way} | {found['why']} | | | | |")
            continue
        first, second = found["seconds"]
        same = "yes" if found["totals"] == ours["totals"] else "no"
        lines.append(
            f"| {way} | {first:.1f} | {second:.1f} | {second / ours['seconds'][1]:.2f} |"
            f" {found['rows']:,} | {same} |"
        )
    lines += [
        "",
        "Feast's store differs in more than time: `tests/spark/test_offline_store_in_feast.py` has"
        " them side by side: two rows where two feature rows tie, values swapped where composite"
        " keys concatenate alike, rows in another order, integers with gaps as floats, and a"
        " setting and views left in the session.",
    ]
    (FOLDER / "spark_store.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
