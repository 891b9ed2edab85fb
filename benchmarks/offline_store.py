"""Measure the offline store against other ways to the same training set.

``python benchmarks/offline_store.py [--quick]`` writes benchmarks/offline_store.md and .png. Every
measurement is a process of its own on data made for it: seconds from the entity frame in memory to
the training set in pandas (imports left out), and the process's peak memory as the kernel reports
it; the median of three processes where they take less than ten seconds, the ways taking turns. What
takes longer than the limit is stopped and reported as slower than that. A ratio is of two
measurements of one run on one machine.

The limit, "SQL by hand", is a chain of DuckDB's ASOF JOIN, back in the order of the entity rows,
for exactly these tables; it knows nothing of ties, TTL, time zones or names.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

FOLDER = Path(__file__).parent
LIMIT_SECONDS = 120
SAMPLE = Path(__file__).parents[1] / "data" / "published"


# Cases: each makes its files in a folder and says what to join


def taxi(folder: Path, rows: int) -> dict[str, Any]:
    """Trips, and two views of their zones over 90 days, stamped at the end of each window."""
    trips = folder / f"trips_{rows}.parquet"
    if not trips.exists():
        duckdb.execute(
            "copy (select (hash(i) % 263)::bigint as zone_id, timestamp '2024-01-01'"
            " + to_seconds(hash(i * 7 + 1) % 7776000) as event_timestamp, i as trip_id"
            f" from range({rows}) as t(i)) to '{trips}' (format parquet)"
        )
    views = []
    for minutes in (15, 30):
        path = folder / f"zone_{minutes}.parquet"
        if not path.exists():
            duckdb.execute(
                f"copy (select zone::bigint as zone_id, timestamp '2024-01-01'"
                f" + to_minutes((slot + 1) * {minutes}) as known_at,"
                f" hash(zone * 31 + slot) % 100 as trips_{minutes}, random() as fare_{minutes},"
                f" random() as miles_{minutes} from range(263) a(zone),"
                f" range(90 * 24 * 60 // {minutes}) b(slot) order by known_at, zone_id)"
                f" to '{path}' (format parquet)"
            )
        features = [f"trips_{minutes}", f"fare_{minutes}", f"miles_{minutes}"]
        views.append({"path": str(path), "key": "zone_id", "features": features, "ttl_days": None})
    return {"spine": str(trips), "views": views}


def drivers(folder: Path, rows: int, ttl_days: int | None) -> dict[str, Any]:
    """One view of 10,000 drivers over 365 days with 10 features, and a few entity rows."""
    path, spine = folder / "drivers.parquet", folder / f"asked_{rows}.parquet"
    names = [f"f{number}" for number in range(10)]
    if not path.exists():
        features = ", ".join(f"random() as {name}" for name in names)
        duckdb.execute(
            f"copy (select driver_id, timestamp '2023-01-01' + to_days(day::int) as known_at,"
            f" {features} from range(365) b(day), range(10000) a(driver_id))"
            f" to '{path}' (format parquet)"
        )
    duckdb.execute(
        "copy (select (hash(i) % 10000)::bigint as driver_id, timestamp '2023-01-01'"
        " + to_seconds(hash(i * 7 + 1) % 31536000) as event_timestamp"
        f" from range({rows}) as t(i)) to '{spine}' (format parquet)"
    )
    view = {"path": str(path), "key": "driver_id", "features": names, "ttl_days": ttl_days}
    return {"spine": str(spine), "views": [view]}


def many_views(folder: Path, rows: int) -> dict[str, Any]:
    """50 views with 20 features each, of 1,000 keys over 30 days."""
    views = []
    for number in range(50):
        names = [f"v{number}_f{feature}" for feature in range(20)]
        features = ", ".join(f"random() as {name}" for name in names)
        path = folder / f"many_{number}.parquet"
        duckdb.execute(
            f"copy (select key, timestamp '2024-01-01' + to_days(day::int) as known_at, {features}"
            f" from range(30) b(day), range(1000) a(key)) to '{path}' (format parquet)"
        )
        views.append({"path": str(path), "key": "key", "features": names, "ttl_days": None})
    spine = folder / "many_spine.parquet"
    duckdb.execute(
        "copy (select (hash(i) % 1000)::bigint as key, timestamp '2024-01-01'"
        f" + to_seconds(hash(i * 7 + 1) % 2592000) as event_timestamp from range({rows}) as t(i))"
        f" to '{spine}' (format parquet)"
    )
    return {"spine": str(spine), "views": views}


def latest(folder: Path, rows: int) -> dict[str, Any]:
    """One view of so many keys over 10 days with 10 features, to be materialized."""
    path = folder / f"latest_{rows}.parquet"
    names = [f"f{number}" for number in range(10)]
    features = ", ".join(f"random() as {name}" for name in names)
    duckdb.execute(
        f"copy (select key, timestamp '2024-01-01' + to_days(day::int) as known_at, {features}"
        f" from range(10) b(day), range({rows}) a(key)) to '{path}' (format parquet)"
    )
    return {"views": [{"path": str(path), "key": "key", "features": names, "ttl_days": None}]}


def flights(folder: Path) -> dict[str, Any]:
    """Every flight, and every exposed mart: run `make run` first."""
    marts = json.loads((SAMPLE / "current.json").read_text())["marts"]
    label = next(mart for mart in marts if mart["mart"].endswith("_labels"))
    spine = folder / "flights.parquet"
    keys = "flight_id, carrier_code, origin_airport_code, route_code, tail_number"
    duckdb.execute(
        f"copy (select {keys}, predicted_at as event_timestamp from '{SAMPLE / label['path']}')"
        f" to '{spine}' (format parquet)"
    )
    return {"spine": str(spine), "repo": str(FOLDER.parent / "feature_repo")}


# Ways to a training set


def feature_store(case: dict[str, Any], offline_store: dict[str, Any], folder: Path) -> Any:
    """Return a feature store over the case's views, and the references to all their features."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.repo_config import RegistryConfig, RepoConfig
    from feast.types import Float64

    registry = RegistryConfig(path=str(folder / f"{os.getpid()}.db"))
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=registry,
        offline_store=offline_store,
        online_store={"type": "sqlite", "path": str(folder / f"{os.getpid()}.online")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    if "repo" in case:
        source = FeatureStore(case["repo"])
        views = source.list_feature_views()
        store.apply([*source.list_entities(), *views])
        refs = [f"{view.name}:{field.name}" for view in views for field in view.features]
        return store, refs
    keys = sorted({view["key"] for view in case["views"]})
    entities = {k: Entity(name=k, join_keys=[k], value_type=ValueType.INT64) for k in keys}
    views, refs = [], []
    for number, view in enumerate(case["views"]):
        days = view["ttl_days"]
        views.append(
            FeatureView(
                name=f"v{number}",
                entities=[entities[view["key"]]],
                schema=[Field(name=name, dtype=Float64) for name in view["features"]],
                source=FileSource(name=f"s{number}", path=view["path"], timestamp_field="known_at"),
                ttl=timedelta(days=days) if days else timedelta(0),
            )
        )
        refs += [f"v{number}:{name}" for name in view["features"]]
    store.apply([*entities.values(), *views])
    return store, refs


def by_feast(case: dict[str, Any], offline_store: dict[str, Any], folder: Path) -> Any:
    """Time a retrieval through Feast with an offline store."""
    store, refs = feature_store(case, offline_store, folder)
    spine = duckdb.execute(f"from '{case['spine']}'").df()
    started = time.monotonic()
    frame = store.get_historical_features(entity_df=spine, features=refs).to_df()
    return time.monotonic() - started, len(frame)


def by_hand(case: dict[str, Any]) -> Any:
    """Time the chain of ASOF JOIN that one would write for these tables."""
    spine = duckdb.execute(f"from '{case['spine']}'").df()
    spine["row"] = range(len(spine))
    joins, columns = "", "s.* exclude (row)"
    for number, view in enumerate(case["views"]):
        joins += (
            f" asof left join '{view['path']}' v{number}"
            f" on s.{view['key']} = v{number}.{view['key']}"
            f" and s.event_timestamp >= v{number}.known_at"
        )
        columns += "".join(f", v{number}.{name}" for name in view["features"])
    started = time.monotonic()
    with duckdb.connect() as connection:
        connection.register("spine", spine)
        joined = connection.sql(f"select {columns} from spine s {joins} order by s.row")
        assert joined is not None
        frame = joined.to_arrow_table().to_pandas()
    return time.monotonic() - started, len(frame)


def by_pandas(case: dict[str, Any]) -> Any:
    """Time pandas.merge_asof, with the sorting that it needs, back in the order of the rows."""
    import pandas as pd

    spine = pd.read_parquet(case["spine"])
    started = time.monotonic()
    frame = spine.assign(row=range(len(spine))).sort_values("event_timestamp")
    for view in case["views"]:
        facts = pd.read_parquet(view["path"]).sort_values("known_at")
        facts = facts.astype({view["key"]: frame[view["key"]].dtype})
        frame = pd.merge_asof(
            frame, facts, left_on="event_timestamp", right_on="known_at", by=view["key"]
        ).drop(columns="known_at")
    frame = frame.sort_values("row").drop(columns="row")
    return time.monotonic() - started, len(frame)


def by_polars(case: dict[str, Any]) -> Any:
    """Time polars' join_asof, with the sorting that it needs, back in the order of the rows."""
    import polars as pl

    spine = pl.read_parquet(case["spine"])
    started = time.monotonic()
    frame = spine.with_row_index("row").sort("event_timestamp")
    for view in case["views"]:
        facts = pl.read_parquet(view["path"]).sort("known_at")
        facts = facts.with_columns(pl.col(view["key"]).cast(frame[view["key"]].dtype))
        frame = frame.join_asof(
            facts, left_on="event_timestamp", right_on="known_at", by=view["key"]
        ).drop("known_at")
    pandas = frame.sort("row").drop("row").to_pandas()
    return time.monotonic() - started, len(pandas)


ASOF = {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"}


def to_parquet(case: dict[str, Any], folder: Path) -> Any:
    """Time this store from a Parquet file to a Parquet file under a memory limit of 2 GB."""
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    store, refs = feature_store(case, {**ASOF, "memory_limit": "2GB"}, folder)
    started = time.monotonic()
    job = store.get_historical_features(entity_df=case["spine"], features=refs)
    job.persist(SavedDatasetFileStorage(path=str(folder / "out.parquet")), allow_overwrite=True)
    seconds = time.monotonic() - started
    rows = duckdb.execute(f"select count(*) from '{folder}/out.parquet'").fetchall()[0][0]
    return seconds, rows


# Where the time of a materialization goes: functions of Feast, by what they do.
STEPS = {
    "read the latest rows, the offline store's part": "LocalSourceReadNode",
    "convert them to Feast's values": "_convert_arrow_to_proto",
    "write them to SQLite": "online_write_batch",
}


def materialize(case: dict[str, Any], offline_store: dict[str, Any], folder: Path) -> Any:
    """Time a materialization of the latest rows to an SQLite online store."""
    import sqlite3
    from datetime import UTC, datetime

    store, _ = feature_store(case, offline_store, folder)
    started = time.monotonic()
    store.materialize(datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    seconds = time.monotonic() - started
    with sqlite3.connect(folder / f"{os.getpid()}.online") as online:
        (rows,) = online.execute("select count(distinct entity_key) from bench_v0").fetchone()
    return seconds, rows


def steps(case: dict[str, Any], folder: Path) -> Any:
    """Return the share of a materialization that each step takes, as the profiler sees it."""
    import cProfile
    import pstats

    from feast.infra.compute_engines.local import nodes

    profiler = cProfile.Profile()
    profiler.enable()
    materialize(case, ASOF, folder)
    profiler.disable()
    times = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    read = nodes.LocalSourceReadNode.execute.__code__
    names = {(read.co_filename, read.co_firstlineno, read.co_name): "LocalSourceReadNode"}
    found = {names.get(key, key[2]): values[3] for key, values in times.items()}
    whole = found["materialize_single_feature_view"]
    return {step: found[name] / whole for step, name in STEPS.items()}, 0


def plan(case: dict[str, Any], folder: Path, rows_of_a_key: int) -> Any:
    """Time this store with a search for views with up to so many entity rows of a key."""
    from martfeast.offline_store import joined_view

    joined_view.FEW_ROWS_OF_A_KEY = rows_of_a_key
    return by_feast(case, ASOF, folder)


WAYS: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "this store": lambda case, folder: by_feast(case, ASOF, folder),
    "this store, to Parquet, 2 GB": to_parquet,
    "this store, search": lambda case, folder: plan(case, folder, 10**12),
    "this store, ASOF JOIN": lambda case, folder: plan(case, folder, -1),
    "this store, materialize": lambda case, folder: materialize(case, ASOF, folder),
    "Feast duckdb, materialize": lambda case, folder: materialize(case, {"type": "duckdb"}, folder),
    "steps": steps,
    "SQL by hand": lambda case, folder: by_hand(case),
    "Feast duckdb": lambda case, folder: by_feast(case, {"type": "duckdb"}, folder),
    "Feast dask": lambda case, folder: by_feast(case, {"type": "dask"}, folder),
    "pandas merge_asof": lambda case, folder: by_pandas(case),
    "Polars join_asof": lambda case, folder: by_polars(case),
}


def measure(way: str, case: dict[str, Any], folder: Path, limit: int = LIMIT_SECONDS) -> Any:
    """Run one way in a process of its own; return seconds and MiB, or None and the reason."""
    answer, errors = folder / "answer.json", folder / "errors.txt"
    answer.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--one", way, json.dumps(case), str(folder)]
    with errors.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + limit + 20
        while True:
            pid, _, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                process.kill()
                os.wait4(process.pid, 0)
                return {"way": way, "seconds": None, "why": f"over {limit} s"}
            time.sleep(0.05)
    if not answer.exists():
        last = [line for line in errors.read_text().splitlines() if line.strip()] or ["killed"]
        return {"way": way, "seconds": None, "why": f"failed: {last[-1][:90]}"}
    seconds, rows = json.loads(answer.read_text())
    return {"way": way, "seconds": seconds, "mebibytes": usage.ru_maxrss / 1024, "rows": rows}


def section(title: str, case: dict[str, Any], ways: list[str], folder: Path) -> tuple[str, Any]:
    """Measure some ways to one training set; return a table of them and the measurements."""
    lines = [f"## {title}", "", "| way | seconds | peak memory, MiB | next to this store |"]
    lines.append("| --- | ---: | ---: | --- |")
    runs: dict[str, list[Any]] = {way: [] for way in ways}
    for _ in range(3):
        for way, results in runs.items():
            if not results or (results[0]["seconds"] or LIMIT_SECONDS) < 10:
                results.append(measure(way, case, folder))
                print(f"{title:<50}{way:<32}{results[-1]}", flush=True)
    found = [
        sorted(results, key=lambda result: result["seconds"] or 0)[len(results) // 2]
        for results in runs.values()
    ]
    ours = next(result["seconds"] for result in found if result["way"].startswith("this store"))
    for result in found:
        if result["seconds"] is None:
            faster = f"over {LIMIT_SECONDS / ours:.0f} times as long"
            note = faster if result["why"].startswith("over") else ""
            lines.append(f"| {result['way']} | {result['why']} | | {note} |")
            continue
        ratio = result["seconds"] / ours
        note = "" if result["way"].startswith("this store") else f"{ratio:.2f} times as long"
        lines.append(
            f"| {result['way']} | {result['seconds']:.2f} | {result['mebibytes']:.0f} | {note} |"
        )
    return "\n".join([*lines, ""]), found


def draw(points: dict[int, list[Any]]) -> None:
    """Draw seconds over rows for the taxi case."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for way in ("this store", "SQL by hand", "pandas merge_asof", "Polars join_asof"):
        pairs = [
            (rows / 1e6, result["seconds"])
            for rows, results in points.items()
            for result in results
            if result["way"] == way and result["seconds"] is not None
        ]
        axes.plot(*zip(*pairs, strict=True), marker="o", label=way)
    axes.set(
        xlabel="entity rows, millions",
        ylabel="seconds, to pandas",
        title="Two views of taxi zones, joined as of each trip",
    )
    axes.legend()
    figure.savefig(FOLDER / "offline_store.png", dpi=120)


def main() -> None:
    """Run every case, or with --one a single measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, case, folder = options.one
        answer = WAYS[way](json.loads(case), Path(folder))
        (Path(folder) / "answer.json").write_text(json.dumps(answer))
        return
    unit = 100_000 if options.quick else 1_000_000
    parts = [
        "# The offline store, measured",
        "",
        "Written by `make measure-store` (benchmarks/offline_store.py), which says how. "
        f"{os.cpu_count()} cores.",
        "",
    ]
    points = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        everyone = ["this store", "SQL by hand", "pandas merge_asof", "Polars join_asof"]
        text, _ = section(
            "All flights, all exposed marts",
            flights(folder),
            ["this store", "Feast duckdb"],
            folder,
        )
        parts.append(text)
        for millions in (1, 2, 5, 10):
            rows = millions * unit
            ways = everyone + ["Feast duckdb"] * (millions == 1)
            ways += ["this store, to Parquet, 2 GB"] * (millions == 10)
            text, points[rows] = section(
                f"Taxi zones, {rows:,} trips", taxi(folder, rows), ways, folder
            )
            parts.append(text)
        small = taxi(folder, 2_000)
        text, _ = section(
            "Taxi zones, 2,000 trips", small, ["this store", "Feast duckdb", "Feast dask"], folder
        )
        parts.append(text)
        for rows in (20_000, 100_000):
            for ttl_days in (None, 7):
                title = f"3,650,000 rows of 10 features, {rows:,} entity rows"
                title += f", TTL {ttl_days} days" if ttl_days else ""
                ways = ["this store", "SQL by hand", "Feast duckdb"][:: 2 if ttl_days else 1]
                text, _ = section(title, drivers(folder, rows, ttl_days), ways, folder)
                parts.append(text)
        for rows in (200, 2_000, 20_000, 100_000, 500_000):
            title = f"The choice of plan, {rows:,} entity rows for 3,650,000 feature rows"
            ways = ["this store", "this store, search", "this store, ASOF JOIN"]
            text, _ = section(title, drivers(folder, rows, None), ways, folder)
            parts.append(text)
        text, _ = section(
            "50 views of 20 features, 100,000 entity rows",
            many_views(folder, 100_000),
            ["this store", "SQL by hand", "Polars join_asof"],
            folder,
        )
        parts.append(text)
        case = latest(folder, 50_000)
        title = "Materialization of the latest rows of 50,000 keys, of 500,000 rows of 10 features"
        ways = ["this store, materialize", "Feast duckdb, materialize"]
        text, found = section(title, case, ways, folder)
        shares = measure("steps", case, folder)["seconds"]
        parts += [
            text,
            f"{found[0]['rows'] / found[0]['seconds']:,.0f} rows a second. Of that time, by the"
            " profiler: "
            + "; ".join(f"{step}, {share:.1%}" for step, share in shares.items())
            + ". What follows the offline store is Feast's and is the same with every one.",
            "",
        ]
    draw(points)
    parts.append("![Seconds over rows](offline_store.png)")
    (FOLDER / "offline_store.md").write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
