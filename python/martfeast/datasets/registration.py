"""A dataset and Feast's registry: what it holds of the feature service, and the saved dataset."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from martfeast.datasets.folder import DATA
from martfeast.datasets.record import DatasetRecord, RegistryState
from martfeast.declaration.declared import ASKED_AT, Declaration, Exposure, LabelMart
from martfeast.problems import refusal

if TYPE_CHECKING:
    from feast import FeatureStore


def registry_state(
    store: "FeatureStore", declaration: Declaration, exposure: Exposure
) -> RegistryState:
    """Return what the registry holds of the exposure's feature service.

    Raises:
        DeclarationError: it is not what dbt declares.

    """
    from feast.errors import FeastObjectNotFoundException

    fix = "Run `feast apply`, so that labels and features are of one build."
    try:
        # Read once, and not for each view: they are all of one moment then.
        store.refresh_registry()  # type: ignore[no-untyped-call]
        service = store.get_feature_service(exposure.name, allow_cache=True)
        views = [
            store.get_feature_view(name, allow_registry_cache=True)
            for name in exposure.features_by_mart
        ]
    except FeastObjectNotFoundException as error:
        raise refusal(exposure.name, "not-applied", f"{error}.", fix) from None
    for view in views:
        mart = declaration.feature_marts[view.name]
        read = Path(str(getattr(view.batch_source, "path", "")))
        if read != mart.path:
            message = f"Feast reads {read.name or 'no file'}, not {mart.path.name}."
            raise refusal(mart.name, "not-applied", message, fix)
    registered = [
        f"{p.name}:{f.name}" for p in service.feature_view_projections for f in p.features
    ]
    if sorted(registered) != sorted(exposure.references):
        message = "Feast has other features of it than dbt."
        raise refusal(exposure.name, "not-applied", message, fix)
    specs: list[Any] = [service.to_proto().spec, *(view.to_proto().spec for view in views)]
    texts = [spec.SerializeToString(deterministic=True).hex() for spec in specs]
    return RegistryState(
        project=store.project, feature_service=service.name, checksum=checksum(texts)
    )


def last_number(folder: Path, store: "FeatureStore", exposure: Exposure) -> int:
    """Return the highest number that a dataset has or had: none is used twice."""
    names = [path.name for path in folder.glob("[0-9]*")]
    for saved in store.registry.list_saved_datasets(store.project):
        name, _, number = saved.name.rpartition("_")
        names += [number] if name == exposure.name else []
    return max((int(name) for name in names if name.isdecimal()), default=0)


def register(
    store: "FeatureStore", exposure: Exposure, mart: LabelMart, path: Path, record: DatasetRecord
) -> None:
    """Register the dataset in a folder as a Feast saved dataset, unless it is."""
    from feast.errors import SavedDatasetNotFound
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
    from feast.saved_dataset import SavedDataset

    storage = SavedDatasetFileStorage(path=str(path / DATA))
    try:
        if store.registry.get_saved_dataset(record.saved_dataset, store.project).storage == storage:
            return
    except SavedDatasetNotFound:
        pass
    keys = [*mart.entity_columns, ASKED_AT]
    columns = {column.name: column for column in record.columns}
    saved = SavedDataset(
        name=record.saved_dataset,
        # Feast returns these columns, so those of the label mart are among them.
        features=[f"{c.mart or mart.name}:{n}" for n, c in columns.items() if n not in keys],
        join_keys=mart.entity_columns,
        storage=storage,
        feature_service_name=exposure.name,
        tags={
            "dbt_unique_id": exposure.unique_id,
            "sha256": record.file.sha256,
            # `martfeast prune` keeps the versions that are named here.
            **{f"mart_{one.mart}": f"{one.model}/{one.version}" for one in record.inputs.marts},
        },
    )
    asked = columns[record.label.asked_at]
    saved.min_event_timestamp, saved.max_event_timestamp = (
        datetime.fromisoformat(str(end)).astimezone(UTC) for end in (asked.minimum, asked.maximum)
    )
    store.registry.apply_saved_dataset(saved, store.project, commit=True)


def checksum(value: Any) -> str:
    """Return a short SHA-256 of a value that JSON can have."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
