"""A brute-force oracle of point-in-time joins in plain Python, and random tables to ask it of."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pyarrow as pa
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.infra.registry.base_registry import BaseRegistry
from feast.types import Int64
from hypothesis import strategies as st
from martfeast import offline_store
from martfeast.offline_store import DuckDBAsofOfflineStore
from pyarrow import parquet

Row = dict[str, Any]
START = datetime(2026, 3, 1)


class NoRegistry:
    """A registry without on-demand feature views."""

    def list_on_demand_feature_views(self, *_: object, **__: object) -> list[object]:
        return []


def config_of(folder: Path, store: Any = DuckDBAsofOfflineStore, **options: Any) -> Any:
    """The configuration of a feature store in a folder, with an offline store of these options."""
    config = getattr(offline_store, f"{store.__name__}Config")
    return SimpleNamespace(repo_path=folder, project="test", offline_store=config(**options))


def view_of(
    name: str,
    path: str,
    keys: list[str],
    features: list[str],
    *,
    ttl: timedelta | None = None,
    created: str | None = "created",
    mapping: dict[str, str] | None = None,
    join_key_map: dict[str, str] | None = None,
) -> FeatureView:
    entities = [
        Entity(name=f"e_{key}", join_keys=[key], value_type=ValueType.INT64) for key in keys
    ]
    view = FeatureView(
        name=name,
        entities=entities,
        schema=[
            *(Field(name=key, dtype=Int64) for key in keys),
            *(Field(name=feature, dtype=Int64) for feature in features),
        ],
        source=FileSource(
            name=name,
            path=path,
            timestamp_field="ts",
            created_timestamp_column=created or "",
            field_mapping=mapping,
        ),
        ttl=ttl or timedelta(0),
    )
    view.entity_columns = [Field(name=key, dtype=Int64) for key in keys]
    if join_key_map:
        view = view.with_join_key_map(join_key_map)
    return view


def retrieve(
    folder: Path,
    views: list[FeatureView],
    refs: list[str],
    entity_df: Any,
    store: Any = DuckDBAsofOfflineStore,
    **options: Any,
):
    settings_ = options.pop("settings", {})
    return store.get_historical_features(
        config_of(folder, store, **settings_),
        views,
        refs,
        entity_df,
        cast(BaseRegistry, NoRegistry()),
        "test",
        options.pop("full_feature_names", False),
        **options,
    )


# The oracle


@dataclass
class Case:
    """Random tables: feature rows of two views, entity rows, and how to join them."""

    facts: list[list[Row]]
    entities: list[Row]
    ttls: list[timedelta | None]
    by_created: bool


def oracle(case: Case) -> list[Row]:
    """For each entity row, in order, look at every feature row there is."""
    found = []
    for entity in case.entities:
        row: Row = {}
        for number, (facts, ttl) in enumerate(zip(case.facts, case.ttls, strict=True)):
            best: tuple[Any, ...] | None = None
            for fact in facts:
                if None in (fact["k"], fact["ts"], entity["k"], entity["event_timestamp"]):
                    continue
                if fact["k"] != entity["k"] or fact["ts"] > entity["event_timestamp"]:
                    continue
                if case.by_created and (
                    fact["created"] is None or fact["created"] > entity["event_timestamp"]
                ):
                    continue
                rank = tuple(
                    (value is not None, value)
                    if value is not None
                    else (False, datetime.min if key == "created" else -1)
                    for key, value in ((key, fact[key]) for key in ("ts", "created", "a", "b"))
                )
                if best is None or rank > best:
                    best = rank
            alive = best is not None and (
                ttl is None or entity["event_timestamp"] <= best[0][1] + ttl
            )
            for position, name in enumerate(("a", "b"), 2):
                has, value = best[position] if alive and best else (False, None)
                row[f"{name}{number}"] = value if has else None
        found.append(row)
    return found


moments = st.one_of(
    st.none(),
    st.integers(0, 3).map(lambda n: START + timedelta(hours=n)),
    st.integers(0, 3).map(lambda n: START + timedelta(hours=n)),
    st.integers(0, 6 * 3600 * 10**6).map(lambda n: START + timedelta(microseconds=n)),
)
keys = st.sampled_from([None, 1, 1, 2, 2, 3])
fact = st.fixed_dictionaries(
    {
        "k": keys,
        "ts": moments,
        "created": moments,
        "a": st.one_of(st.none(), st.integers(0, 4)),
        "b": st.one_of(st.none(), st.integers(0, 4)),
    }
)
# Many rows of few keys and moments, so that they tie.
facts = st.one_of(st.lists(fact, max_size=8), st.lists(fact, min_size=12, max_size=25))
entities = st.lists(
    st.fixed_dictionaries({"k": keys, "event_timestamp": moments, "n": st.integers(0, 9)}),
    max_size=25,
)
ttls = st.one_of(
    st.none(),
    st.integers(1, 4).map(lambda hours: timedelta(hours=hours)),
    st.just(timedelta(microseconds=1)),
)
cases = st.builds(
    Case,
    st.tuples(facts, facts).map(list),
    entities,
    st.tuples(ttls, ttls).map(list),
    st.booleans(),
)

SCHEMA = pa.schema(
    [
        ("k", pa.int64()),
        ("ts", pa.timestamp("us")),
        ("created", pa.timestamp("us")),
        ("a", pa.int64()),
        ("b", pa.int64()),
    ]
)
ENTITY_SCHEMA = pa.schema(
    [("k", pa.int64()), ("event_timestamp", pa.timestamp("us")), ("n", pa.int64())]
)


def compare_with_the_oracle(
    tmp_path: Path,
    case: Case,
    is_zoned: bool,
    as_pandas: bool,
    store: Any = DuckDBAsofOfflineStore,
) -> None:
    """See that a store finds what the oracle finds."""
    views = []
    for number, rows in enumerate(case.facts):
        table = pa.Table.from_pylist(rows, SCHEMA)
        if is_zoned:  # the same moments, written with a zone
            for column in ("ts", "created"):
                index = table.column_names.index(column)
                zoned = table[column].cast(pa.timestamp("us", "UTC"))
                table = table.set_column(index, column, zoned)
        table = table.rename_columns(["k", "ts", "created", f"a{number}", f"b{number}"])
        parquet.write_table(table, tmp_path / f"v{number}.parquet")
        names = [f"a{number}", f"b{number}"]
        path = f"v{number}.parquet"
        views.append(view_of(f"v{number}", path, ["k"], names, ttl=case.ttls[number]))
    spine: Any = pa.Table.from_pylist(case.entities, ENTITY_SCHEMA)
    if as_pandas:
        spine = spine.to_pandas()
        spine["event_timestamp"] = pd.to_datetime(spine["event_timestamp"], utc=True)
    job = retrieve(
        tmp_path,
        views,
        ["v0:a0", "v0:b0", "v1:a1", "v1:b1"],
        spine,
        store,
        filter_by_created_timestamp=case.by_created,
    )
    table = job.to_arrow()
    assert table.num_rows == len(case.entities)
    assert table["n"].to_pylist() == [row["n"] for row in case.entities]
    assert table.select(["a0", "b0", "a1", "b1"]).to_pylist() == oracle(case)
    assert {table.schema.field(name).type for name in ("a0", "b0", "a1", "b1")} == {pa.int64()}


def random_case(seed: int, *, by_created: bool) -> Case:
    """Return larger random tables, for a store whose every retrieval takes long."""
    draw = random.Random(seed)

    def moment() -> datetime | None:
        hours = [START + timedelta(hours=draw.randrange(4)) for _ in range(3)]
        any_time = START + timedelta(microseconds=draw.randrange(6 * 3600 * 10**6))
        return draw.choice([None, *hours, any_time])

    def value(top: int) -> int | None:
        return draw.choice([None, *range(top)])

    return Case(
        facts=[
            [
                {"k": value(9), "ts": moment(), "created": moment(), "a": value(4), "b": value(4)}
                for _ in range(250)
            ]
            for _ in range(2)
        ],
        entities=[
            {"k": value(10), "event_timestamp": moment(), "n": draw.randrange(10)}
            for _ in range(250)
        ],
        ttls=[draw.choice([timedelta(hours=1), timedelta(microseconds=1)]), None],
        by_created=by_created,
    )
