"""Turns a declaration into Feast objects. Importing Feast takes seconds, so it happens late."""

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from martfeast.declaration.declared import Declaration, Exposure, FeatureMart
from martfeast.declaration.shared import SharedMart
from martfeast.feature_types import FeatureType

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView
    from feast.types import FeastType


def feast_objects(declaration: Declaration) -> dict[str, object]:
    """Return the Feast objects of a declaration, by names fit for a module's attributes.

    Each feature mart gives a FileSource and a FeatureView, each entity of a feature mart an Entity,
    each exposure a FeatureService.
    """
    entities = _entities(declaration)
    views = {
        mart.name: _feature_view(mart, entities, declaration.shared.get(mart.name))
        for mart in declaration.feature_marts.values()
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


def source_name(mart: str) -> str:
    """Return what the source of a mart's feature view is called in Feast.

    Not as the view: in lineage, which knows both by their names, it would feed itself.
    """
    return f"{mart}__published"


def _entities(declaration: Declaration) -> dict[str, "Entity"]:
    from feast import Entity

    uses: dict[str, list[tuple[FeatureMart, str]]] = {}
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


def _feature_view(
    mart: FeatureMart, entities: dict[str, "Entity"], shared: SharedMart | None
) -> "FeatureView":
    from feast import FeatureView, Field, FileSource

    assert mart.version is not None  # the gate has seen to it
    optional = {
        "dbt_group": mart.group,
        "dbt_version": mart.model_version,
        "dbt_deprecation_date": mart.deprecation_date,
        "start": f"{mart.time.start:%Y-%m-%dT%H:%M:%S}" if mart.time.start else "",
        "schedule": mart.time.schedule,
        "batch_size": mart.time.batch.size if mart.time.batch else "",
        "dbt_source": shared.source.unique_id if shared else "",
        "shared_by": shared.project if shared else "",
        "shared_from": str(shared.published_path) if shared else "",
    }
    tags = {"dbt_unique_id": mart.unique_id, **{k: v for k, v in optional.items() if v}}
    source = FileSource(
        name=source_name(mart.name),
        path=str(mart.path),
        timestamp_field=mart.timestamp,
        created_timestamp_column=mart.created,
        description=mart.description,
        owner=mart.owner,
        tags={**tags, **mart.version.file.tags},
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
    if exposure.label_mart is not None:
        tags["label"] = f"{exposure.label_mart.name}.{exposure.label_mart.label.column}"
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
