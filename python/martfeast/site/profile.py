"""What values of features look like: measured in SQL, once for each version of a mart.

What was measured is kept in the site itself, by the content hash of the rows, so that a site that
is written again measures only what is new.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from martfeast.datasets.card.wording import moment, number
from martfeast.engines.duckdb import DOUBLES, connect_in_utc, in_groups, parquet_rows, quoted
from martfeast.site.catalog import Catalog
from martfeast.site.mart import Bar, Feature, Profile, View

# Counts up with every change of what is measured, so that no old measure is taken for a new one.
FORMAT = 1
PROFILES = "data/profiles.json"
BARS = 20
# Values that fewer rows have are not named: they may tell of one person.
FEWEST_ROWS, MOST_VALUES = 20, 8
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_WHOLE, *DOUBLES, "DECIMAL")
Json = dict[str, Any]
Known = Mapping[str, Json]


def with_profiles(
    catalog: Catalog,
    folder: Path,
    known: Known,
    say: Callable[[str], None] = lambda _: None,
) -> Catalog:
    """Return a catalog whose features say what their values look like.

    Args:
        catalog: whose published files are relative to a folder, or absolute.
        folder: the project's, absolute.
        known: what was measured before, as `profiles_file` has it.
        say: is told what is being measured.

    Returns:
        The catalog. A file that cannot be read leaves its features without a profile.

    """
    return replace(
        catalog, views=tuple(_with_profiles(view, folder, known, say) for view in catalog.views)
    )


def read_profiles(site: Path) -> dict[str, Json]:
    """Return what was measured for the site in a folder; nothing if it cannot be used."""
    try:
        content = json.loads((site / PROFILES).read_text(encoding="utf-8"))
        return dict(content["views"]) if content["format"] == FORMAT else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def profiles_file(catalog: Catalog) -> str:
    """Return what was measured, as JSON, by view: of which content, and by feature."""
    views = {
        view.name: {
            "content_hash": view.published.content_hash,
            "columns": {
                feature.name: asdict(feature.profile)
                for feature in view.features
                if feature.profile
            },
        }
        for view in catalog.feature_views
        if view.published
    }
    content = {"format": FORMAT, "views": views}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _with_profiles(view: View, folder: Path, known: Known, say: Callable[[str], None]) -> View:
    if view.kind != "features" or view.published is None:
        return view
    wanted = [feature for feature in view.features if feature.is_profiled]
    before = known.get(view.name, {})
    found: dict[str, Profile] = {}
    try:
        if before.get("content_hash") == view.published.content_hash:
            found = {name: _read(one) for name, one in before["columns"].items()}
    except (LookupError, TypeError):
        found = {}
    missing = [feature for feature in wanted if feature.name not in found]
    if missing:
        say(f"measuring {len(missing)} features of {view.name}")
        found |= measure(folder / view.published.file, missing)
    features = (
        replace(one, profile=found.get(one.name) if one.is_profiled else None)
        for one in view.features
    )
    return replace(view, features=tuple(features))


def _read(content: Json) -> Profile:
    bars = tuple(Bar(**bar) for bar in content["bars"])
    top = tuple((str(value), float(share)) for value, share in content["top"])
    return Profile(**{**content, "bars": bars, "top": top})


def measure(path: Path, features: Sequence[Feature]) -> dict[str, Profile]:
    """Return what values of features look like in a published file, or a folder of them.

    Returns:
        A profile for each feature; none of a file that cannot be read, or that has no rows.

    """
    rows = parquet_rows(path)
    found: dict[str, Profile] = {}
    try:
        with connect_in_utc() as connection:
            described = connection.execute(f"describe select * from {rows}").fetchall()
            types = {name: type_ for name, type_, *_ in described}
            for group in in_groups(one.name for one in features if one.name in types):
                found |= _measure(connection, rows, {name: types[name] for name in group})
    except duckdb.Error:
        return {}
    return found


def _measure(
    connection: duckdb.DuckDBPyConnection, rows: str, types: dict[str, str]
) -> dict[str, Profile]:
    asked = ["count(*)"]
    for name, type_ in types.items():
        column = quoted(name)
        is_number = type_.startswith(_NUMBERS) and "[" not in type_
        value = f"case when isfinite({column}) then {column} end" if type_ in DOUBLES else column
        if _is_time(type_):
            value, is_number = f"epoch({column})", True
        asked += [f"count({value})", f"approx_count_distinct({column})"]
        asked += (
            [f"{what}({value})" for what in ("min", "avg", "max")]
            + [f"quantile_{'disc' if _is_whole(type_) else 'cont'}({value}, [0.01, 0.99])"]
            if is_number
            else ["null", "null", "null", "null"]
        )
    (count, *measured), *_ = connection.execute(f"select {', '.join(asked)} from {rows}").fetchall()
    found = {}
    for place, (name, type_) in enumerate(types.items()) if count else ():
        there, distinct, low, mean, high, ends = measured[6 * place : 6 * place + 6]
        said = _said(type_)
        found[name] = Profile(
            null_share=1 - there / count,
            distinct=distinct,
            minimum=said(low) if low is not None else "",
            mean=said(mean) if mean is not None else "",
            maximum=said(high) if high is not None else "",
            bars=_bars(connection, rows, name, type_, ends) if ends else (),
            top=() if ends or "[" in type_ else _top(connection, rows, name, there),
        )
    return found


def _is_whole(type_: str) -> bool:
    return type_.startswith(_WHOLE)


def _is_time(type_: str) -> bool:
    return type_.startswith(("TIMESTAMP", "DATE")) and "[" not in type_


def _said(type_: str) -> Callable[[Any], str]:
    """Return how a value of a type is written."""
    if _is_time(type_):
        return lambda value: moment(datetime.fromtimestamp(float(value), UTC).isoformat())
    return lambda value: number(int(value) if float(value).is_integer() else float(value))


def _bars(
    connection: duckdb.DuckDBPyConnection, rows: str, name: str, type_: str, ends: list[float]
) -> tuple[Bar, ...]:
    """Return the bars from the first to the last hundredth; what is beyond is in the end bars."""
    column = quoted(name)
    value = f"epoch({column})" if _is_time(type_) else f"{column}::double"
    low, high = map(float, ends)
    is_whole = _is_whole(type_)
    if is_whole and high - low < BARS:
        count, width = round(high - low) + 1, 1.0
    else:
        count, width = (BARS, (high - low) / BARS) if high > low else (1, 1.0)
    # Whole numbers are told by themselves, and all others by a range.
    by_value = is_whole and width == 1.0
    found = dict(
        connection.execute(
            f"select least(greatest(floor(({value} - ?) / ?), 0), ?)::bigint, count(*)"
            f" from {rows} where {column} is not null and isfinite({value}) group by all",
            [low, width, count - 1],
        ).fetchall()
    )
    total = sum(found.values())
    said = _said(type_)
    return tuple(
        Bar(
            low=said(low + place * width),
            high=said(low + (place if by_value else place + 1) * width),
            share=found.get(place, 0) / total,
        )
        for place in range(count)
    )


def _top(
    connection: duckdb.DuckDBPyConnection, rows: str, name: str, there: int
) -> tuple[tuple[str, float], ...]:
    """Return the most common values that enough rows have."""
    column = quoted(name)
    found = connection.execute(
        f"select {column}::varchar as value, count(*) as rows from {rows}"
        f" where {column} is not null group by all having count(*) >= ?"
        " order by rows desc, value limit ?",
        [FEWEST_ROWS, MOST_VALUES],
    ).fetchall()
    return tuple((value if len(value) <= 60 else f"{value[:59]}…", n / there) for value, n in found)
