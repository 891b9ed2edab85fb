"""Turns a declaration into Feast objects. Importing Feast takes seconds, so it happens late."""

import os
import sys
from collections.abc import MutableMapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from martfeast.declaration.declared import Declaration, Exposure, Mart
from martfeast.feature_types import FeatureType
from martfeast.from_dbt.artifacts import published_path
from martfeast.gate.assess import assess
from martfeast.gate.report import notes
from martfeast.problems import DeclarationError

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView
    from feast.types import FeastType


def expose(
    namespace: MutableMapping[str, object],
    dbt_project: str | os.PathLike[str],
    target_path: str | None = None,
) -> None:
    """Put a dbt project's Feast objects into a module, where ``feast apply`` finds them.

    This is the gate: unless every mart is ready, nothing is put there and Feast stops. Under
    ``feast apply`` it also locks the registry until the process ends, because Feast reads the whole
    registry file and writes it back: of two applies at once the later would undo the earlier.

    Args:
        namespace: the module's ``globals()``.
        dbt_project: the folder with dbt_project.yml.
        target_path: dbt's target folder, if it is not the project's usual one.

    Raises:
        SystemExit: the declaration has problems or marts are not ready; the message is the report.
            Feast then stops before it touches the registry.

    """
    from martfeast.registry import FeatureRepo, acquire_lock, wait_for_publishing

    # Feast loads this module within its command, before it opens the registry.
    context = click.get_current_context(silent=True)
    options = (context.obj if context else None) or {}
    folder = Path(str(namespace["__file__"])).resolve().parent
    yaml_file = Path(options.get("FS_YAML_FILE") or folder / "feature_store.yaml")
    feature_repo = FeatureRepo(folder, yaml_file.resolve()) if yaml_file.exists() else None
    try:
        if feature_repo and feature_repo.registry_path and context and context.info_name == "apply":
            lock = Path(f"{feature_repo.registry_path}.lock")
            acquire_lock(lock, waiting_for=f"another feast apply holds {lock}")
        wait_for_publishing(published_path(dbt_project))
        registered = feature_repo.read_registered() if feature_repo else None
        assessment = assess(dbt_project, target_path, registered)
        if assessment.refusals:
            raise DeclarationError(assessment.refusals)
    except DeclarationError as error:
        raise SystemExit(str(error)) from None
    for note in notes(assessment.readiness):
        print(f"martfeast: {note}", file=sys.stderr)
    namespace.update(feast_objects(assessment.declaration))


def feast_objects(declaration: Declaration) -> dict[str, object]:
    """Return the Feast objects of a declaration, by names fit for a module's attributes.

    Each feature mart gives a FileSource and a FeatureView, each entity of a feature mart an Entity,
    each exposure a FeatureService.
    """
    entities = _entities(declaration)
    views = {
        mart.name: _feature_view(mart, entities) for mart in declaration.feature_marts.values()
    }
    services = {
        exposure.name: _feature_service(exposure, views)
        for exposure in declaration.exposures.values()
    }
    return {
        **{f"entity_{name}": entity for name, entity in entities.items()},
        **{f"source_{name}": view.batch_source for name, view in views.items()},
        **{f"feature_view_{name}": view for name, view in views.items()},
        **{f"feature_service_{name}": service for name, service in services.items()},
    }


def _entities(declaration: Declaration) -> dict[str, "Entity"]:
    from feast import Entity

    uses: dict[str, list[tuple[Mart, str]]] = {}
    columns = {}
    for mart in declaration.feature_marts.values():
        for column in mart.columns:
            if column.entity is not None:
                uses.setdefault(column.entity, []).append((mart, column.description))
                columns[column.entity] = column
    return {
        name: Entity(
            name=name,
            join_keys=[columns[name].name],
            value_type=_feast_type(columns[name].type).to_value_type(),
            description=next((text for _, text in marts if text), ""),
            tags={"dbt_models": ",".join(mart.unique_id for mart, _ in marts)},
        )
        for name, marts in uses.items()
    }


def _feature_view(mart: Mart, entities: dict[str, "Entity"]) -> "FeatureView":
    from feast import FeatureView, Field, FileSource

    assert mart.version is not None  # the gate has seen to it
    optional = {
        "dbt_group": mart.group,
        "dbt_version": mart.model_version,
        "dbt_deprecation_date": mart.deprecation_date,
    }
    tags = {"dbt_unique_id": mart.unique_id, **{k: v for k, v in optional.items() if v}}
    source = FileSource(
        name=mart.name,
        path=str(mart.path),
        timestamp_field=mart.timestamp,
        created_timestamp_column=mart.created,
        description=mart.description,
        owner=mart.owner,
        tags=tags,
    )
    # Feast would take the present moment, and `feast plan` would find every source changed.
    source.created_timestamp = mart.version.published_at.replace(tzinfo=UTC)
    source.last_updated_timestamp = source.created_timestamp
    return FeatureView(
        name=mart.name,
        entities=[entities[column.entity] for column in mart.columns if column.entity is not None],
        schema=[
            Field(
                name=column.name,
                dtype=_feast_type(column.type),
                description=column.description,
            )
            for column in mart.columns
            if column.is_feature or column.entity is not None
        ],
        source=source,
        # Feast's way to say that rows do not expire is a TTL of zero.
        ttl=mart.ttl or timedelta(0),
        online=mart.online,
        description=mart.description,
        owner=mart.owner,
        tags=tags,
    )


def _feature_service(exposure: Exposure, views: dict[str, "FeatureView"]) -> "FeatureService":
    from feast import FeatureService

    tags = {
        "dbt_unique_id": exposure.unique_id,
        "maturity": exposure.maturity,
        "url": exposure.url,
    }
    if exposure.label is not None and exposure.label.label is not None:
        tags["label"] = f"{exposure.label.name}.{exposure.label.label.column}"
    return FeatureService(
        name=exposure.name,
        features=[views[mart][names] for mart, names in exposure.features_by_mart.items()],
        description=exposure.description,
        owner=exposure.owner,
        tags={key: value for key, value in tags.items() if value},
    )


def _feast_type(type_: FeatureType | None) -> "FeastType":
    from feast import types

    assert type_ is not None  # validation has seen to it
    element = getattr(types, type_.name)
    return types.Array(element) if type_.is_list else element
