"""Every record that is written, with an odd value at each place: refused, or of use as it is.

Each has a checksum of its own, so that it is not by that that it is refused.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from martfeast.datasets.card.croissant import croissant_text
from martfeast.datasets.card.page import card_html
from martfeast.datasets.folder import find_datasets, read_record
from martfeast.datasets.record import DatasetRecord
from martfeast.datasets.report import dataset_report
from martfeast.gate.report import replay_in_words
from martfeast.problems import DeclarationError
from martfeast.published.prune import PruneError, prune
from martfeast.published.release import Release
from martfeast.published.replays import Replays, read_replays
from martfeast.records import Record, RecordError
from martfeast.registry import FeatureRepos
from martfeast.to_feast.materialized import Materialized
from test_card import a_record

Json = dict[str, Any]
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
ODD: list[Any] = [
    *(None, True, -1, 1.5, math.nan, math.inf, 10**400, "", "\ud800", "../\0"),
    *([], ["x"], {}, {"x": 1}, DEEP, "9999-12-31T23:59:59-14:00"),
]


def small_record() -> Json:
    """A dataset's record with one or two of each part."""
    record = copy.deepcopy(a_record())
    asked = next(c for c in record["columns"] if c["name"] == record["label"]["asked_at"])
    record["columns"] = [asked, next(c for c in record["columns"] if c["role"] == "feature")]
    asked.update(minimum="2013-01-01T00:00:00Z", maximum="2013-12-31 23:59:00")
    del record["inputs"]["marts"][2:], record["label_audit"]["periods"][2:], record["groups"][1:]
    for group in record["groups"]:
        del group["levels"][1:]
    for listed in (record["drift"]["features"], record["replays"], record["limits"]):
        del listed[1:]
    return record


REPLAY = {
    "lineage": {"model.a": "x"},
    "compiled": {"model.a": "x"},
    "replayed_at": "2026-11-25 03:10:00",
    **{"asked": 24, "cuts": 24, "enough": 24, "compared": 7, "withheld": 8},
    **{"known_from": "2026-03-01 08:00:00", "known_until": None},
    **{
        "failure": "",
        "warnings": ["x"],
        "trusted": {"x": ""},
        "built_on": "spark",
        "replayed_on": "duckdb",
    },
}
VIEW = {
    **{"version": "v1", "tags": {"byte_count": "1"}, "until": "2026-03-01T00:00:00"},
    **{"columns": ["k"], "last_interval": "0"},
}


def use_dataset(record: DatasetRecord, path: Path) -> None:
    card_html(record).encode()
    croissant_text(record).encode()
    dataset_report(path, record, is_new=False).encode()


def use_replays(record: Replays, path: Path) -> None:
    assert all(replay_in_words(one) for one in record.marts.values())
    assert read_replays(path.parent) == (record.marts, [])


def use_views(record: Materialized, path: Path) -> None:
    for one in record.views.values():
        assert not path.with_name(f"{one.version}.parquet").exists()


def use_repos(record: FeatureRepos, _: Path) -> None:
    assert all(Path(folder).resolve().is_absolute() for folder in record.folders.values())


RECORDS: list[tuple[type[Record], str, Json, Callable[[Any, Path], None]]] = [
    (DatasetRecord, "dataset.json", small_record(), use_dataset),
    (Replays, "replays.json", {"marts": {"model.a": REPLAY}}, use_replays),
    (
        Materialized,
        "materialized.json",
        {"project": "p", "online_store": "x", "views": {"v": VIEW}},
        use_views,
    ),
    (FeatureRepos, "registry.db.repos.json", {"folders": {"p": "/srv/repo"}}, use_repos),
]


def sealed(content: Any, format_: Any) -> str:
    """A record in a file: the checksum, and what it is of."""
    body = json.dumps({"format": format_, **content})[1:]
    return f'{{"checksum": "{hashlib.sha256(("{" + body).encode()).hexdigest()}", {body}'


def edits(value: Any) -> Iterator[Any]:
    """Yield a value with one place in it changed, lost, or added to."""
    yield from ODD
    if isinstance(value, dict):
        yield {**value, "another": 1}
        for key, one in value.items():
            yield {name: kept for name, kept in value.items() if name != key}
            yield from ({**value, key: edited} for edited in edits(one))
    elif isinstance(value, list):
        yield [*value, *value]
        for place, one in enumerate(value):
            yield from ([*value[:place], edited, *value[place + 1 :]] for edited in edits(one))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record[0].__name__)
def test_an_odd_value_with_a_checksum_is_refused_in_words_or_can_be_used(record, tmp_path):
    type_, name, content, use = record
    path = tmp_path / name
    path.write_text(sealed(content, type_.FORMAT))
    use(type_.read(path), path)
    refused = 0
    for edited in edits(content):
        if not isinstance(edited, dict):
            continue
        path.write_text(sealed(edited, type_.FORMAT))
        try:
            read = type_.read(path)
        except RecordError as error:
            refused += 1
            assert str(error).isprintable()
            continue
        use(read, path)
    assert refused > len(ODD)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record[0].__name__)
def test_what_is_edited_cut_off_or_of_another_version_is_refused(record, tmp_path):
    type_, name, content, _ = record
    path = tmp_path / name
    whole = sealed(content, type_.FORMAT)
    body = json.dumps(content)[1:]
    damaged = [whole[: len(whole) // 3], whole.replace(body[-9:], "x" + body[-9:]), "", "[]", "7"]
    formats: list[Any] = [None, "x", [], 0, 99, type_.FORMAT + 0.5]
    damaged += [sealed(content, odd) for odd in formats]
    damaged += [whole.replace("checksum", "sum"), json.dumps(content), "\x00", "[" * 10**5]
    for text in damaged:
        assert text != whole
        path.write_text(text)
        with pytest.raises(RecordError) as caught:
            type_.read(path)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"base_rate": 0.2367', '"base_rate": 0.1'),
        lambda text: text.replace("One year only", "Nothing is known against it"),
        lambda text: text[:-40],
        lambda text: text.replace('"format": 2', '"format": 3'),
    ],
    ids=["base rate", "limit", "cut off", "newer"],
)
def test_a_dataset_whose_record_was_edited_is_refused_with_the_next_step(edit, tmp_path):
    folder = tmp_path / "late_arrival_prediction"
    path = folder / "0003/dataset.json"
    path.parent.mkdir(parents=True)
    record = DatasetRecord.model_validate(a_record())
    record.write(path)
    assert find_datasets(folder) == [(path.parent, record)]
    text = edit(path.read_text())
    assert text != path.read_text()
    path.write_text(text)
    for read in (lambda: find_datasets(folder), lambda: read_record(path)):
        with pytest.raises(DeclarationError, match=r"cannot be used: .* (Remove|Use the)"):
            read()


def test_the_record_of_another_dataset_is_not_taken_for_this_one(tmp_path):
    folder = tmp_path / "late_arrival_prediction"
    for place in ("late_arrival_prediction/0002", "another/0003"):
        path = tmp_path / place / "dataset.json"
        path.parent.mkdir(parents=True)
        DatasetRecord.model_validate(a_record()).write(path)
    for folder in (tmp_path / "late_arrival_prediction", tmp_path / "another"):
        with pytest.raises(DeclarationError, match="that of late_arrival_prediction_0003"):
            find_datasets(folder)


def test_an_odd_release_is_refused_and_what_is_pending_stops_no_prune(tmp_path):
    """The release's own fields: tests/published has what a build makes of them."""
    mart: Json = {"unique_id": "model.a", "version": None, "held_back": [], "warnings": []}
    version = {
        **{"version": "v1", "path": "marts/a/v1.parquet", "published_at": "2026-03-01T00:00:00Z"},
        **{"built_by": "x", "code_checksum": "x", "row_count": 1, "content_hash": "x"},
        **{"byte_count": 1, "sha256": None},
        **{"first_known_at": None, "last_known_at": None, "lineage": [], "sources": []},
        "tests": [{"test": "t", "status": "pass", "code_checksum": None}],
    }
    content = {"release_number": 1, "marts": [{**mart, **version}]}
    path = tmp_path / "current.json"
    for edited in edits(content):
        if isinstance(edited, dict):
            path.write_text(sealed(edited, Release.FORMAT))
            try:
                prune(tmp_path, 10, [], dry_run=True)
            except PruneError as error:
                assert "Run `dbt build`" in str(error)
    path.write_text(sealed(content, Release.FORMAT))
    for pending in [*map(json.dumps, [*ODD, {"paths": ODD}]), "", "[" * 10**5, '{"paths": 1}']:
        (tmp_path / "pending.json").write_text(pending)
        assert prune(tmp_path, 10, []).removed == []
