"""Any martfeast project in Dagster: ``defs = build_definitions("path/to/dbt/project")``."""

from martfeast.extras import extra

with extra("dagster"):
    import dagster  # noqa: F401
    import dagster_dbt  # noqa: F401

from martfeast.orchestration.dagster.definitions import build_definitions
from martfeast.orchestration.dagster.releases import release_sensor

__all__ = ["build_definitions", "release_sensor"]
