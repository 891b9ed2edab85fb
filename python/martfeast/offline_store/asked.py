"""What a retrieval is asked for: views, ready to be read, and what is made of their features."""

from dataclasses import dataclass

import duckdb
from feast.feature_view import FeatureView
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from feast.utils import (
    _get_requested_feature_views_to_features_dict,
    _get_requested_on_demand_feature_views,
)

from martfeast.offline_store.joined_view import JoinedView


@dataclass(frozen=True)
class Asked:
    """What a retrieval is asked for.

    views: those that features are of, or that on-demand views need. feature_refs: as given, as
    ``view:feature``. by_created: leave out rows created after the entity row's moment.
    """

    views: list[JoinedView]
    feature_refs: list[str]
    on_demand_feature_views: list[OnDemandFeatureView]
    full_feature_names: bool
    by_created: bool

    @staticmethod
    def open(
        connection: duckdb.DuckDBPyConnection,
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool,
        by_created: bool,
    ) -> "Asked":
        """Look at the sources of all views, and see that they have what is asked of them.

        connection: a DuckDB, where they are looked at.

        Raises:
            OfflineDataError: a file or a column is not as it must be.

        """
        demanded = _get_requested_on_demand_feature_views(feature_refs, project, registry)
        by_view, _ = _get_requested_feature_views_to_features_dict(
            feature_refs, feature_views, demanded
        )
        return Asked(
            views=[
                JoinedView.open(connection, config, view, features, full_feature_names, index)
                for index, (view, features) in enumerate(by_view.items())
            ],
            feature_refs=feature_refs,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
                feature_refs, project, registry
            ),
            full_feature_names=full_feature_names,
            by_created=by_created,
        )
