"""Builds one dataset in a folder: its rows, through Feast, and its record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as software_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.datasets.audit import (
    count_infinite,
    count_split,
    measure_columns,
    measure_groups,
    measure_label,
    measure_split,
)
from martfeast.datasets.card.croissant import croissant_text
from martfeast.datasets.card.page import card_html
from martfeast.datasets.changes import find_changes
from martfeast.datasets.folder import CARD, CROISSANT, DATA, RECORD
from martfeast.datasets.limits import find_limits
from martfeast.datasets.population import Population, iso
from martfeast.datasets.record import (
    About,
    ColumnFacts,
    ColumnPath,
    DataFile,
    DatasetRecord,
    Inputs,
    LabelFacts,
    MartState,
    RegistryState,
    ReplayFacts,
)
from martfeast.datasets.registration import checksum
from martfeast.declaration.declared import ASKED_AT, SPLIT, Exposure, LabelMart, Mart
from martfeast.declaration.project import Project
from martfeast.engines.duckdb import (
    copy_to_parquet,
    literal,
    parquet_rows,
    quoted,
    timestamp,
    utc,
)
from martfeast.files import replaced
from martfeast.problems import refusal
from martfeast.published.replays import ReplayRecord, in_words
from martfeast.published.verified import file_sha256

if TYPE_CHECKING:
    import pyarrow
    from feast import FeatureStore

Say = Callable[[str], None]


@dataclass(frozen=True)
class Builder:
    """Builds one dataset. inputs: all that its rows follow from. say: is told of progress.

    replays: the last one of each mart, by the mart's name.
    """

    project: Project
    exposure: Exposure
    store: "FeatureStore"
    population: Population
    inputs: Inputs
    replays: dict[str, ReplayRecord]
    say: Say

    @property
    def mart(self) -> LabelMart:
        """The label mart."""
        return self.population.mart

    def build(
        self, folder: Path, number: int, before: tuple[Path, DatasetRecord] | None
    ) -> DatasetRecord:
        """Write a dataset to a folder and return its record.

        Args:
            folder: an empty one.
            number: the dataset's version.
            before: the version before, if there is one: its folder and its record.

        """
        connection, data = self.population.connection, folder / DATA
        self.say(f"rows       of {self.mart.name}")
        audit = measure_label(connection, self.mart, "asked")
        steps = self.population.steps(audit)
        self._write_rows(folder / "spine.parquet", data, steps[-1].rows)
        self.say("measuring  label, groups and columns")
        columns = self._measure_columns(data)
        types = {column.name: column.type.upper() for column in columns}
        infinite = count_infinite(connection, parquet_rows(data), types)
        groups = measure_groups(connection, self.mart, "asked", "kept")
        drift = None
        split: dict[str, tuple[int, int]] = {}
        if self.population.test_from:
            split = count_split(connection, parquet_rows(data), self.mart.label.column)
            self.say(f"measuring  drift of {len(self.exposure.features)} features, train to test")
            drift = measure_split(connection, parquet_rows(data), self.exposure)
        changes = []
        if before:
            self.say(f"comparing  with version {before[1].number}")
            keys = [*self.mart.keys, ASKED_AT]
            changes = find_changes(connection, before, self.inputs, columns, data, keys)
        record = DatasetRecord(
            number=number,
            saved_dataset=f"{self.exposure.name}_{number:04}",
            created_at=iso(utc(datetime.now(UTC)).replace(microsecond=0)),
            label=self._label(),
            inputs=self.inputs,
            file=DataFile(
                name=DATA,
                sha256=file_sha256(data),
                bytes=data.stat().st_size,
                rows=steps[-1].rows,
            ),
            steps=steps,
            columns=columns,
            label_audit=audit,
            groups=groups,
            drift=drift,
            replays=self._replays(),
            limits=find_limits(audit, groups, drift, columns, split, infinite, self._trusted()),
            changes=changes,
        )
        self.say("writing    record, card and Croissant metadata")
        record.write(folder / RECORD)
        self.describe(folder, record)
        for file in (data, folder / RECORD):
            file.chmod(0o444)
        return record

    @staticmethod
    def describe(path: Path, record: DatasetRecord) -> None:
        """Write card and Croissant, which follow from the record, unless they are there so."""
        for name, draw in ((CARD, card_html), (CROISSANT, croissant_text)):
            drawn = draw(record).encode()
            if not (path / name).exists() or (path / name).read_bytes() != drawn:
                with replaced(path / name) as new:
                    new.write_bytes(drawn)
                    new.chmod(0o444)

    def _replays(self) -> list[ReplayFacts]:
        """Return what the last replay of each mart showed, as far as there are any."""
        return [
            ReplayFacts(
                mart=one.mart,
                replayed_at=replay.replayed_at,
                cuts=replay.cuts,
                compared=replay.compared,
            )
            for one in self.inputs.marts
            if (replay := self.replays.get(one.mart))
        ]

    def _trusted(self) -> str:
        """Return the models under the marts that are taken at their word, and why, as words."""
        replays = (self.replays.get(one.mart) for one in self.inputs.marts)
        return in_words(*(replay.trusted for replay in replays if replay))

    def _write_rows(self, spine: Path, data: Path, rows: int) -> None:
        """Write the rows kept, in order, and join the features to them through Feast."""
        population, label = self.population, self.mart.label
        columns = "*" if population.keeps_unlabelled else f"* exclude ({quoted(population.reason)})"
        if population.test_from:
            at = f"timezone('UTC', {timestamp(population.test_from)})"
            columns += (
                f", case when {ASKED_AT} >= {at} then 'test'"
                f" when {quoted(label.column)} is not null"
                f" and {quoted(label.known_at)} < {at} then 'train'"
                f" else 'between' end as {SPLIT}"
            )
        order = ", ".join([ASKED_AT, *map(quoted, self.mart.keys)])
        population.connection.execute(
            f"copy (select {columns} from kept order by {order})"
            f" to {literal(str(spine))} (format parquet)"
        )
        self.say(f"features   {len(self.exposure.features)} of {rows:,} rows, through Feast")
        self._join(spine, data)
        spine.unlink()
        ((joined,),) = population.connection.execute(
            f"select count(*) from {parquet_rows(data)}"
        ).fetchall()
        if joined != rows:
            raise refusal(
                self.exposure.name,
                "rows-differ",
                f"Feast returned {joined:,} rows for {rows:,}.",
                "Use martfeast.offline_store, or another store that returns each row once.",
            )

    def _join(self, spine: Path, data: Path) -> None:
        """Join the features through Feast, and write all columns in the spine's order."""
        from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

        from martfeast.offline_store.jobs import QueryJob, to_pandas

        service = self.store.get_feature_service(self.exposure.name)
        if is_own_store(self.store):
            # It keeps the order of rows, and writes more than fits into memory.
            job = self.store.get_historical_features(entity_df=str(spine), features=service)
            assert isinstance(job, QueryJob)
            job.persist(SavedDatasetFileStorage(path=str(data)))
            return
        connection = self.population.connection
        frame = to_pandas(connection.sql(f"from {parquet_rows(spine)}").to_arrow_table())
        joined: pyarrow.Table = self.store.get_historical_features(
            entity_df=frame, features=service
        ).to_arrow()
        connection.register("joined", joined)
        keys = [*self.mart.entity_columns, ASKED_AT]
        wanted = ", ".join(quoted(name) for name in (*keys, *self.exposure.features))
        order = ", ".join(f"spine.{quoted(name)}" for name in (ASKED_AT, *self.mart.keys))
        columns = connection.execute(f"describe from {parquet_rows(spine)}").fetchall()
        names = [f"spine.{quoted(row[0])}" for row in columns]
        names += [f"joined.{quoted(name)}" for name in self.exposure.features]
        on = " and ".join(
            f"spine.{quoted(name)} is not distinct from joined.{quoted(name)}" for name in keys
        )
        copy_to_parquet(
            connection,
            # Rows of one key and moment have the same features.
            f"select {', '.join(names)} from {parquet_rows(spine)} as spine"
            f" join (select distinct {wanted} from joined) as joined on {on}"
            f" order by {order}",
            data,
        )
        connection.unregister("joined")

    def _measure_columns(self, data: Path) -> list[ColumnFacts]:
        connection, dataset = self.population.connection, parquet_rows(data)
        described = connection.execute(f"describe from {dataset}").fetchall()
        types = {name: type_.removesuffix(" WITH TIME ZONE") for name, type_, *_ in described}
        measured = measure_columns(connection, dataset, types)
        marts = [self.mart, *self._feature_marts()]
        paths = {mart.name: _path(self.project, mart) for mart in marts}
        return [
            ColumnFacts(**self._origin(name, paths), **measured[name], type=type_.lower())
            for name, type_ in types.items()
        ]

    def _feature_marts(self) -> list[Mart]:
        marts = self.project.declaration.feature_marts
        return [marts[name] for name in self.exposure.features_by_mart]

    def _origin(self, name: str, paths: dict[str, ColumnPath]) -> dict[str, Any]:
        """Return what a column of the dataset is, and where it comes from."""
        if name == SPLIT:
            return {
                "name": name,
                "role": "split",
                "description": "test: asked from the test moment on. train: label known before it."
                " between: asked before it, and without a label that was known before it.",
                "mart": None,
                "entity": None,
                "path": ColumnPath(sources=[], models=[]),
            }
        views = self.exposure.features_by_mart.items()
        view = next((view for view, names in views if name in names), None)
        mart: Mart = self.project.declaration.feature_marts[view] if view else self.mart
        column = mart.column(mart.timestamp if name == ASKED_AT else name)
        label = self.mart.label
        role = {
            ASKED_AT: "asked at",
            label.column: "label",
            label.known_at: "label known at",
            self.population.reason: "reason for no label",
        }.get(name, "key" if name in self.mart.natural_key else "group")
        if view:
            role = "feature"
        elif column and column.entity and name != ASKED_AT:
            role = "entity"
        return {
            "name": name,
            "role": role,
            "description": column.description if column else "Why there is no label.",
            "mart": mart.name,
            "entity": column.entity if column else None,
            "path": paths[mart.name],
        }

    def _label(self) -> LabelFacts:
        label = self.mart.label
        column = self.mart.column(label.column)
        assert column is not None  # validation has seen to it
        return LabelFacts(
            mart=self.mart.name,
            column=label.column,
            description=column.description,
            type=column.data_type,
            known_at=label.known_at,
            asked_at=ASKED_AT,
            missing_reason=self.population.reason if self.population.keeps_unlabelled else None,
        )


def is_own_store(store: "FeatureStore") -> bool:
    """Tell whether a feature store's offline store is this package's, or built on it."""
    from martfeast.offline_store import DuckDBAsofOfflineStoreConfig

    return isinstance(store.config.offline_store, DuckDBAsofOfflineStoreConfig)


def find_inputs(
    project: Project,
    exposure: Exposure,
    population: Population,
    store: "FeatureStore",
    registry: RegistryState,
) -> Inputs:
    """Return all that the rows of a dataset follow from."""
    marts = [
        population.mart,
        *(project.declaration.feature_marts[name] for name in exposure.features_by_mart),
    ]
    return Inputs(
        exposure=exposure.name,
        label=f"{population.mart.name}.{population.mart.label.column}",
        from_=iso(population.start),
        until=iso(population.end),
        as_of=iso(population.as_of),
        test_from=iso(population.test_from) if population.test_from else None,
        unlabelled="keep" if population.keeps_unlabelled else "leave-out",
        groups=population.mart.label.groups,
        features=exposure.features_by_mart,
        marts=[_mart_state(mart) for mart in marts],
        registry=registry,
        offline_store=str(store.config.offline_store.type),
        software={name: software_version(name) for name in ("martfeast", "feast", "duckdb")},
        about=About(
            title=exposure.title,
            description=exposure.description,
            owner=exposure.owner,
            maturity=exposure.maturity,
            url=exposure.url,
            license=exposure.license,
            personal_information=exposure.personal_information,
        ),
    )


def _mart_state(mart: Mart) -> MartState:
    assert mart.version is not None  # the gate has seen to it
    return MartState(
        mart=mart.name,
        model=mart.path.parent.name,
        version=mart.version.name,
        content_hash=mart.version.content_hash,
        code_checksum=checksum(mart.version.lineage),
        rows=mart.version.row_count,
        is_label_mart=isinstance(mart, LabelMart),
    )


def _path(project: Project, mart: Mart) -> ColumnPath:
    """Return the sources and the models under a mart, each after what it is built on."""
    if shared := project.declaration.shared.get(mart.name):
        return ColumnPath(sources=[shared.source.alias], models=[])
    graph = project.artifacts.graph
    found = graph.upstream(mart.unique_id)
    return ColumnPath(
        sources=[graph.sources[name].alias for name in found if name in graph.sources],
        models=[graph.models[name].alias for name in found if name in graph.models],
    )
