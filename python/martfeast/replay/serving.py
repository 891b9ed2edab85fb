"""Shows that Feast serves what was known: at a past moment, in training as in serving.

At a cut T, the same is asked for twice, of the published marts as they are today and of the marts
as a replay at T has them. Then today's are materialized up to T, and the online store is asked.
All three must agree, row by row.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.declaration.declared import Declaration, Exposure, FeatureMart, Mart
from martfeast.engines.duckdb import literal, parquet_rows, quoted, timestamp
from martfeast.files import temporary_folder
from martfeast.published.release import PUBLISHED_AT
from martfeast.replay.answers import Mismatch, require_same
from martfeast.replay.compare import typed_columns
from martfeast.to_feast.objects import feast_objects

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

    from martfeast.replay.scratch import Cut, Scratch

    # The keys that were asked for, and what was given for them.
    Answer = tuple[pd.DataFrame, pd.DataFrame]

KEYS = 200
TRAINING_ROWS = 1_000
ASOF_STORE = {"type": "martfeast.offline_store.DuckDBAsofOfflineStore"}


@dataclass(frozen=True)
class _Stores:
    """Two feature stores over one kind of offline store: of marts as published, and as replayed.

    is_own: whether the offline store is this package's, or built on it.
    """

    offline_store: dict[str, Any]
    today: "FeatureStore"
    then: "FeatureStore"
    is_own: bool

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Keep Feast's progress to itself; that another's store fails is a mismatch of its own."""
        try:
            with _quiet():
                yield
        except Exception as error:  # whatever a store raises that nobody here knows
            if self.is_own:
                raise
            reason = " ".join(str(error).split()).rstrip(".")
            raise Mismatch(f"it fails: {type(error).__name__}: {reason}") from None


class ServingCheck:
    """Compares training and serving at cuts; to be used in a with statement.

    declaration: of the project. marts: those to check. offline_store: its settings, as in
    feature_store.yaml.
    other_rows: by mart, what an offline store that is not martfeast's gave at the first cut where
    it alone gave other rows.
    """

    def __init__(
        self, declaration: Declaration, marts: list[Mart], offline_store: dict[str, Any]
    ) -> None:
        self.declaration = declaration
        self.marts = [mart for mart in marts if isinstance(mart, FeatureMart)]
        self.other_rows: dict[str, str] = {}
        self._directory = temporary_folder("serving")
        self.folder = Path(self._directory.name)
        # Replayed marts are always written to the same files, so that one registry will do.
        self.then_files = {mart.name: self.folder / f"{mart.name}.parquet" for mart in self.marts}
        self.stores = self._open(offline_store, "asked")

    def __enter__(self) -> "ServingCheck":
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def __call__(self, scratch: "Scratch", cut: "Cut", names: set[str]) -> dict[str, str]:
        """Compare marts at a cut that the scratch warehouse has just built.

        Training sets are compared as they would have been built at the cut, and then for each mart
        what a model that is asked at the cut is given, offline and online. What another's offline
        store gives is no fault of a mart that martfeast's serves as it was. Returns what is wrong,
        by mart.
        """
        for mart in self._built(scratch):
            _export(scratch, mart, cut, self.then_files[mart.name])
        problems = self._compare(self.stores, scratch, cut, names)
        if not problems or self.stores.is_own:
            return problems
        own = self._compare(self._own, scratch, cut, names)
        for name, problem in problems.items():
            if name not in own:
                self.other_rows.setdefault(name, problem)
        return own

    @cached_property
    def _own(self) -> _Stores:
        return self._open(ASOF_STORE, "own")

    def _open(self, offline_store: dict[str, Any], name: str) -> _Stores:
        from martfeast.offline_store import DuckDBAsofOfflineStoreConfig

        then = [_moved(mart, self.then_files[mart.name]) for mart in self.marts]
        today = _feature_store(self.marts, offline_store, self.folder / name / "today")
        return _Stores(
            offline_store,
            today,
            _feature_store(then, offline_store, self.folder / name / "then"),
            isinstance(today.config.offline_store, DuckDBAsofOfflineStoreConfig),
        )

    def _compare(
        self, stores: _Stores, scratch: "Scratch", cut: "Cut", names: set[str]
    ) -> dict[str, str]:
        """Compare at a cut with an offline store; return by mart what is wrong."""
        problems: dict[str, str] = {}
        for exposure in self.declaration.exposures.values():
            if names.intersection(exposure.features_by_mart):
                problems = {**self._check_training(stores, scratch, exposure, cut), **problems}
        answers: dict[str, Answer] = {}
        marts_by_keys: dict[tuple[str, ...], list[FeatureMart]] = {}
        for mart in self._built(scratch):
            if mart.name in names:
                marts_by_keys.setdefault(tuple(sorted(mart.entity_columns)), []).append(mart)
        for marts in marts_by_keys.values():
            found, wrong = self._check_offline(stores, scratch, marts, cut)
            answers.update(found)
            problems = {**wrong, **problems}
        problems = {**self._check_online(stores, scratch, cut, answers), **problems}
        return {
            name: f"at {cut.at}, {problem}" for name, problem in problems.items() if name in names
        }

    def _built(self, scratch: "Scratch") -> list[FeatureMart]:
        """Return the marts that could be built as of the cut."""
        return [mart for mart in self.marts if mart.unique_id not in scratch.failed]

    def _check_offline(
        self, stores: _Stores, scratch: "Scratch", marts: list[FeatureMart], cut: "Cut"
    ) -> "tuple[dict[str, Answer], dict[str, str]]":
        """Compare what is given for some keys of marts that have the same ones, asked for at once.

        Returns:
            By mart its keys with the answer, where it has keys; and by mart what is wrong.

        """
        frames = {mart.name: _some_keys(scratch, mart, cut) for mart in marts}
        marts = [mart for mart in marts if not frames[mart.name].empty]
        if not marts:
            return {}, {}
        try:
            with stores.asked():
                today, then = (
                    _retrieve_each(store, marts, frames) for store in (stores.today, stores.then)
                )
        except Mismatch as mismatch:
            if len(marts) == 1:
                return {}, {marts[0].name: str(mismatch)}
            alone = [self._check_offline(stores, scratch, [mart], cut) for mart in marts]
            return (
                {name: answer for answers, _ in alone for name, answer in answers.items()},
                {name: problem for _, problems in alone for name, problem in problems.items()},
            )
        answers, problems = {}, {}
        for mart in marts:
            try:
                require_same(mart, today[mart.name], then[mart.name], "the replayed mart gives")
                answers[mart.name] = (frames[mart.name], today[mart.name])
            except Mismatch as mismatch:
                problems[mart.name] = str(mismatch)
        return answers, problems

    def _check_online(
        self, stores: _Stores, scratch: "Scratch", cut: "Cut", answers: dict[str, "Answer"]
    ) -> dict[str, str]:
        """Materialize the marts up to the cut, and compare; return by mart what is wrong.

        The online store is empty before: Feast's keep a value past its TTL, which only a later
        value of its key ends.
        """
        marts = [mart for mart in self.marts if mart.online and mart.name in answers]
        samples = [self._sample(scratch, mart, answers[mart.name][0]) for mart in marts]
        problems = {}
        with tempfile.TemporaryDirectory(dir=self.folder) as empty:
            store = _feature_store(samples, stores.offline_store, Path(empty)) if samples else None
            for mart in samples:
                assert store is not None
                frame, answer = answers[mart.name]
                try:
                    with stores.asked():
                        online = _online(store, mart, cut.at, frame)
                    require_same(mart, answer, online, "the online store gives")
                except Mismatch as mismatch:
                    problems[mart.name] = str(mismatch)
        return problems

    def _sample(self, scratch: "Scratch", mart: FeatureMart, frame: "pd.DataFrame") -> FeatureMart:
        """Return the mart with the rows of some keys only: no others are asked for."""
        sample = self.folder / f"{mart.name}.online.parquet"
        keys = ", ".join(map(quoted, mart.entity_columns))
        scratch.connection.register("keys_wanted", frame)
        scratch.connection.execute(
            f"copy (select * from {parquet_rows(mart.path)} semi join keys_wanted"
            f" using ({keys})) to {literal(str(sample))} (format parquet)"
        )
        scratch.connection.unregister("keys_wanted")
        return _moved(mart, sample)

    def _check_training(
        self, stores: _Stores, scratch: "Scratch", exposure: Exposure, cut: "Cut"
    ) -> dict[str, str]:
        """Compare training sets as built at the cut; return by feature mart what is wrong.

        If already the rows asked for differ, that is the label mart's doing, whose own comparison
        tells it.
        """
        mart = exposure.label_mart
        names = {mart.name for mart in self._built(scratch)}
        if mart is None or mart.unique_id not in scratch.number.keys() - scratch.failed.keys():
            return {}
        if not names.issuperset(exposure.features_by_mart):
            return {}
        columns = ", ".join(map(quoted, [mart.timestamp, *mart.entity_columns]))
        label, known_at = quoted(mart.label.column), quoted(mart.label.known_at)
        relation = scratch.lineage.relations[mart.unique_id]
        replayed = f"(select {typed_columns(mart)} from {scratch.table(relation)})"
        today, then = (
            scratch.connection.execute(
                f"select {columns} from {rows} where {quoted(mart.timestamp)} <= $at"
                f" and {label} is not null and {known_at} <= $at"
                f" order by all desc limit {TRAINING_ROWS}",
                {"at": cut.at},
            ).df()
            for rows in (parquet_rows(mart.path), replayed)
        )
        refs = exposure.references
        if today.empty or not refs or not today.equals(then):
            return {}
        asked = today.rename(columns={mart.timestamp: "event_timestamp"})
        try:
            with stores.asked():
                a, b = (
                    _retrieve(store, asked, refs).sort_values("event_timestamp", kind="stable")
                    for store in (stores.today, stores.then)
                )
        except Mismatch as mismatch:
            return dict.fromkeys(exposure.features_by_mart, str(mismatch))
        problems = {}
        for name, features in exposure.features_by_mart.items():
            own = [*mart.entity_columns, "event_timestamp", *features]
            what = f"the training set of {exposure.name} built then has"
            try:
                require_same(mart, a[own], b[own], what)
            except Mismatch as mismatch:
                problems[name] = str(mismatch)
        return problems


def _feature_store(
    marts: list[FeatureMart], offline_store: dict[str, Any], folder: Path
) -> "FeatureStore":
    from feast import FeatureStore
    from feast.repo_config import RegistryConfig, RepoConfig

    folder.mkdir(parents=True, exist_ok=True)
    config = RepoConfig(
        project="replay",
        provider="local",
        registry=RegistryConfig(path=str(folder / "registry.db")),
        offline_store=offline_store,
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    with _quiet():
        store = FeatureStore(config=config)
        objects: list[Any] = list(
            feast_objects(Declaration({mart.name: mart for mart in marts}, {}, {})).values()
        )
        store.apply(objects)
    return store


def _export(scratch: "Scratch", mart: Mart, cut: "Cut", path: Path) -> None:
    """Write a replayed mart's rows up to the cut as the publish step would have."""
    relation = scratch.lineage.relations[mart.unique_id]
    created = timestamp(cut.at) if mart.created == PUBLISHED_AT else quoted(mart.created)
    scratch.connection.execute(
        f"copy (select {typed_columns(mart)}, {created} as {quoted(mart.created)}"
        f" from {scratch.table(relation)} where {quoted(mart.timestamp)} <= {timestamp(cut.at)})"
        f" to {literal(str(path))} (format parquet)"
    )


def _moved(mart: FeatureMart, path: Path) -> FeatureMart:
    assert mart.version is not None
    stand_in = mart.version.file.model_copy(update={"path": path, "byte_count": None})
    return replace(mart, version=mart.version.model_copy(update={"file": stand_in}))


def _some_keys(scratch: "Scratch", mart: FeatureMart, cut: "Cut") -> "pd.DataFrame":
    """Return some keys that a published mart has up to a cut, to be asked for as of the cut.

    Feast cannot be asked for a key that is null; that there are none is another criterion.
    """
    import pandas as pd

    keys = ", ".join(map(quoted, mart.entity_columns))
    whole = " and ".join(f"{quoted(name)} is not null" for name in mart.entity_columns)
    known = f"from {parquet_rows(mart.path)} where {quoted(mart.timestamp)} <= $at and {whole}"
    sql = f"from (select distinct {keys} {known}) order by hash(row({keys})) limit {KEYS}"
    frame = scratch.connection.execute(sql, {"at": cut.at}).df()
    frame["event_timestamp"] = pd.Timestamp(cut.at, tz=UTC).as_unit("us")
    return frame


def _retrieve(store: "FeatureStore", frame: "pd.DataFrame", refs: list[str]) -> "pd.DataFrame":
    return store.get_historical_features(entity_df=frame, features=refs).to_df()


def _retrieve_each(
    store: "FeatureStore", marts: list[FeatureMart], frames: "dict[str, pd.DataFrame]"
) -> "dict[str, pd.DataFrame]":
    """Return by mart what is given for its own keys, all asked for at once."""
    import pandas as pd

    frame = pd.concat([frames[mart.name] for mart in marts]).drop_duplicates(ignore_index=True)
    refs = [reference for mart in marts for reference in _references(mart)]
    job = store.get_historical_features(entity_df=frame, features=refs, full_feature_names=True)
    answer = job.to_df()
    found = {}
    for mart in marts:
        names = {f"{mart.name}__{feature}": feature for feature in mart.features}
        own = answer[[*mart.entity_columns, *names]].rename(columns=names)
        found[mart.name] = own.merge(frames[mart.name][mart.entity_columns])
    return found


def _references(mart: FeatureMart) -> list[str]:
    return [f"{mart.name}:{name}" for name in mart.features]


def _online(
    store: "FeatureStore", mart: FeatureMart, at: datetime, frame: "pd.DataFrame"
) -> "pd.DataFrame":
    """Materialize a mart up to a moment, and ask the online store for the keys of a frame."""
    until = at.replace(tzinfo=UTC)
    start = until - mart.ttl if mart.ttl else datetime(1700, 1, 1, tzinfo=UTC)
    rows = {name: frame[name].tolist() for name in mart.entity_columns}
    store.materialize(start, until, feature_views=[mart.name])
    return store.get_online_features(features=_references(mart), entity_rows=rows).to_df()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Feast's progress to itself."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
