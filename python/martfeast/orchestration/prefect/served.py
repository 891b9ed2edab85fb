"""The flow of the project in DBT_PROJECT_DIR, or of the working directory, by a name that lasts.

The processes in which Prefect runs what `python -m martfeast.orchestration.prefect` serves import
it from here.
"""

import os

from martfeast.orchestration.prefect.flow import flow_for

build = flow_for(os.environ.get("DBT_PROJECT_DIR") or ".")
