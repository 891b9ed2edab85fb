"""The flights in Dagster: ``dagster dev -m nyc_flights.in_dagster``."""

from pathlib import Path

from martfeast.orchestration.dagster import build_definitions

defs = build_definitions(Path(__file__).parents[2])
