"""Writes to the online store what changed between two published versions of a mart."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from martfeast.causes import Cause, cause_of
from martfeast.engines.duckdb import connect_in_utc, parquet_rows, quoted, timestamp
from martfeast.files import locked
from martfeast.offline_store.source import latest
from martfeast.problems import DeclarationError, did_you_mean, refusal
from martfeast.published.verified import FILE_TAGS, damage_of_tagged
from martfeast.records import RecordError
from martfeast.to_feast.materialized import Materialized, MaterializedView, materialized_path

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from martfeast.to_feast.repository import FeatureRepo

BATCH_ROWS = 10_000
PROBED_KEYS = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GONE = "martfeast_gone"


@dataclass(frozen=True)
class Written:
    """What was written of a feature view.

    version: of its mart, which the online store serves now. since: the version that it served;
    None if everything was written, and then why says why. row_count: keys written, of which
    gone_count are gone from the mart and have nulls now.
    """

    view: str
    version: str
    since: str | None
    why: str
    row_count: int
    gone_count: int

    def __str__(self) -> str:
        what = f"{self.view}: {self.row_count:,} keys written, {self.gone_count:,} of them gone"
        if self.since is None:
            return f"{what}; everything of version {self.version}, because {self.why}"
        if self.since == self.version:
            return f"{what}; version {self.version} as before"
        return f"{what}; version {self.version} after {self.since}"


def materialize(
    repo: "FeatureRepo", names: Sequence[str], say: Callable[[Written], None]
) -> list[Written]:
    """Bring the online store from what it was given last to the versions that are applied now.

    Afterwards it gives for every key of a mart what a full `feast materialize` into an empty store
    would, whatever the dates of the rows that changed; and nulls for keys that are gone.

    Args:
        repo: the feature repo, applied.
        names: the feature views; empty means all that are served online.
        say: is told of each view when it is done.

    Returns:
        What was written of each view. A run that ends early has written some views or a part of
        one, of which the next run writes everything.

    Raises:
        DeclarationError: nothing is applied, a name is not a view's, a mart's file or the online
            store cannot be used, or a mart has rows without a key.

    """
    store = repo.store()
    path = materialized_path(repo.path)
    with locked(path.with_name(f".{path.name}.lock"), "another martfeast materialize runs"):
        views = _views(store, names)
        record, why = _read(path, store)
        done = []
        for view in views:
            run = _ViewRun(store, view, record.views.get(view.name))
            others = {name: one for name, one in record.views.items() if name != view.name}
            changes = run.changes(why)
            # Without a note, a run that is cut off here is followed by one that writes everything.
            record = record.model_copy(update={"views": others})
            record.write(path)
            written = run.write(changes)
            views_now = {**others, view.name: run.note(is_written=written.row_count > 0)}
            record = record.model_copy(update={"views": views_now})
            record.write(path)
            say(written)
            done.append(written)
        return done


def _views(store: "FeatureStore", names: Sequence[str]) -> "list[FeatureView]":
    """Return the views to materialize, in the order of their names."""
    there = {
        view.name: view
        for view in store.list_feature_views()
        if view.online and "dbt_unique_id" in view.tags
    }
    if not there:
        message = "The registry has no feature view that is served online."
        raise refusal("feature views", "not-applied", message, "Run `feast apply`.")
    for name in names:
        if name not in there:
            fix = did_you_mean(name, there, f"Views are: {', '.join(sorted(there))}.")
            message = f"'{name}' is not an applied feature view that is served online."
            raise refusal(name, "view-unknown", message, fix)
    return [there[name] for name in sorted(names or there)]


def _read(path: Path, store: "FeatureStore") -> tuple[Materialized, str]:
    """Return the record, and why everything is to be written where it has no view."""
    settings = store.config.online_store
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    nothing = Materialized(
        project=store.project,
        online_store=hashlib.sha256(text.encode()).hexdigest()[:16],
        views={},
    )
    try:
        record = Materialized.read(path)
    except FileNotFoundError:
        return nothing, "this is the first run"
    except RecordError as error:
        if error.is_newer:
            message = f"{path} cannot be used: {error}."
            raise refusal("online store", "record-unreadable", message, error.fix("")) from None
        return nothing, f"{path} cannot be used: {error}"
    if (record.project, record.online_store) != (nothing.project, nothing.online_store):
        return nothing, "feature_store.yaml names another project or online store than the last run"
    return record, "no run has finished with it"


@dataclass(frozen=True)
class _Changes:
    """SQL of the rows to write. since, why: as in Written."""

    sql: str
    since: str | None
    why: str


class _ViewRun:
    """One feature view, from what was noted of it to what is applied."""

    def __init__(
        self, store: "FeatureStore", view: "FeatureView", before: MaterializedView | None
    ) -> None:
        self.store = store
        self.view = view
        self.before = before
        source: Any = view.batch_source
        self.file = Path(source.path)
        self.tags = {name: source.tags[name] for name in FILE_TAGS if name in source.tags}
        # The columns of when a row was known, and when it was published.
        self.times = [source.timestamp_field, source.created_timestamp_column]
        self.until = datetime.now(UTC).replace(tzinfo=None)
        self.keys = [column.name for column in view.entity_columns]
        self.features = [column.name for column in view.features]
        self.connection = connect_in_utc()

    def changes(self, why: str) -> _Changes:
        """Return what to write. why: the reason if nothing is noted of the view."""
        if damage := damage_of_tagged(self.file, self.tags):
            fix = "Remove it, then run `dbt build` and `feast apply`."
            said = f"{self.file} {damage}."
            raise refusal(self.view.name, "file-unusable", said, fix, cause=Cause.EVIDENCE)
        now = self._latest(self.file, self.until)
        self._require_keys()
        reason = why if self.before is None else self._reason_for_everything(self.before)
        if self.before is None or reason:
            nothing = f"select *, false as {_GONE} from ({now})"
            return _Changes(nothing, None, reason)
        then = self._latest(self._file_of(self.before), self.before.until)
        return _Changes(self._difference(now, then), self.before.version, "")

    def write(self, changes: _Changes) -> Written:
        """Write the rows to the online store as `feast materialize` does."""
        rows = self.connection.sql(changes.sql).to_arrow_table()
        gone = sum(bool(one) for one in rows.column(_GONE).to_pylist())
        provider = self.store._get_provider()
        try:
            for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
                provider.online_write_batch(
                    self.store.config, self.view, self._to_feast(batch), None
                )
        except Exception as error:  # whatever the online store raises
            raise self._unusable(error) from error
        return Written(
            self.view.name, self.file.stem, changes.since, changes.why, rows.num_rows, gone
        )

    def note(self, is_written: bool) -> MaterializedView:
        """Tell Feast's registry of the run, as it is told of its own; return what to note."""
        if is_written:
            until = self.until.replace(tzinfo=UTC)
            self.store.registry.apply_materialization(
                self.view, self.store.project, EPOCH, until, commit=True
            )
        view = self.store.get_feature_view(self.view.name)
        return MaterializedView(
            version=self.file.stem,
            tags=self.tags,
            until=self.until,
            columns=[*self.keys, *self.features],
            last_interval=_last_interval(view),
        )

    def _reason_for_everything(self, before: MaterializedView) -> str:
        """Return why the difference to what was noted does not do; empty if it does."""
        if before.columns != [*self.keys, *self.features]:
            return "the view had other columns"
        if before.last_interval != _last_interval(self.view):
            return "others have materialized it since, or removed it"
        old = self._file_of(before)
        damage = damage_of_tagged(old, before.tags) if before.tags else "was of unknown bytes"
        if damage:
            return f"version {before.version} {damage}"
        if self._types(old) != self._types(self.file):
            return f"version {before.version} had columns of other types"
        sample = f"from ({self._latest(old, before.until)}) limit {PROBED_KEYS}"
        batches = self.connection.sql(sample).to_arrow_table().to_batches()
        try:
            for batch in batches:
                keys = [row[0] for row in self._to_feast(batch)]
                found = self.store._get_provider().online_read(
                    self.store.config, self.view, keys, self.features
                )
                if any(known_at is None for known_at, _ in found):
                    return f"the online store lacks keys of version {before.version}"
        except Exception as error:  # whatever the online store raises
            raise self._unusable(error) from error
        return ""

    def _latest(self, file: Path, until: datetime) -> str:
        """Return SQL of the last row of each key known by a moment, as Feast takes it."""
        names = ", ".join(map(quoted, [*self.keys, *self.features, *self.times]))
        known = f"{quoted(self.times[0])} <= {timestamp(until)}"
        rows = f"select {names} from {parquet_rows(file)} where {known}"
        order = [*map(quoted, [*self.times, *self.features])]
        return latest(rows, [*map(quoted, self.keys)], order)

    def _difference(self, now: str, then: str) -> str:
        """Return SQL of rows that are new or other than then, and of keys that are gone.

        When a row was published does not count: every version says it anew of all its rows.
        """
        on = " and ".join(f"now.{quoted(key)} = before.{quoted(key)}" for key in self.keys)
        known_at = quoted(self.times[0])
        differs = " or ".join(
            f"now.{quoted(name)} is distinct from before.{quoted(name)}"
            for name in [self.times[0], *self.features]
        )
        kept = ", ".join(f"before.{quoted(name)}" for name in [*self.keys, *self.times])
        nulls = ", ".join(f"null as {quoted(name)}" for name in self.features)
        return f"""
            with now as ({now}), before as ({then})
            select now.*, false as {_GONE}
            from now left join before on {on}
            where before.{known_at} is null or {differs}
            union all by name
            select {kept}, {nulls}, true as {_GONE}
            from before anti join now on {on}
        """

    def _require_keys(self) -> None:
        """Insist that every row has its keys: Feast fails on a null key without saying why."""
        try:
            counts = self.connection.execute(
                f"select {', '.join(f'count(*) - count({quoted(key)})' for key in self.keys)}"
                f" from {parquet_rows(self.file)}"
            ).fetchall()[0]
        except duckdb.Error as error:
            message = f"{self.file} cannot be read: {str(error).splitlines()[0]}."
            fix = "Run `dbt build` and `feast apply`."
            cause = cause_of(error, Cause.EVIDENCE)
            raise refusal(self.view.name, "file-unusable", message, fix, cause=cause) from error
        for key, count in zip(self.keys, counts, strict=True):
            if count:
                message = f"{count:,} rows of version {self.file.stem} have no {key}."
                fix = "Leave them out in the model and test the column with not_null."
                subject = f"{self.view.name}.{key}"
                raise refusal(subject, "key-null", message, fix, cause=Cause.EVIDENCE)

    def _types(self, file: Path) -> dict[str, str]:
        columns = self.connection.execute(f"describe from {parquet_rows(file)}").fetchall()
        return {n: t for n, t, *_ in columns if n in (*self.keys, *self.features, *self.times)}

    def _file_of(self, noted: MaterializedView) -> Path:
        return self.file.with_name(f"{noted.version}.parquet")

    def _to_feast(self, batch: Any) -> Any:
        """Return rows as Feast writes them, by the function that its own materialize uses."""
        from feast.utils import _convert_arrow_to_proto

        types = {column.name: column.dtype.to_value_type() for column in self.view.entity_columns}
        return _convert_arrow_to_proto(batch, self.view, types)

    def _unusable(self, error: Exception) -> DeclarationError:
        reason = " ".join(str(error).split()).rstrip(".")
        message = f"The online store cannot be used: {type(error).__name__}: {reason}."
        fix = "Run `feast apply`, which makes its tables, and then this again."
        cause = cause_of(error)
        return refusal(self.view.name, "online-store-unusable", message, fix, cause=cause)


def _last_interval(view: "FeatureView") -> str:
    """Return how many intervals Feast's registry has of a view, and the end of the last."""
    intervals = view.materialization_intervals
    return f"{len(intervals)} {intervals[-1][1].isoformat()}" if intervals else "0"
