"""Any martfeast project in Prefect: ``build = flow_for("path/to/dbt/project")``."""

import os

from martfeast.extras import extra

# The server that Prefect starts where none is named may be slower than its 20 seconds, on a machine
# that is busy. It is read when Prefect is imported.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

with extra("prefect"):
    import prefect  # noqa: F401

from martfeast.orchestration.prefect.flow import flow_for

__all__ = ["flow_for"]
