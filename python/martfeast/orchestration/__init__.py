"""Orchestration: what runs a project day by day, in Dagster, in Prefect, or from a shell."""
