"""Every Feast object of this project, from the marts that Spark built."""

from pathlib import Path

import martfeast
from martfeast.from_dbt.dbt_project import DbtProject

PROJECT = Path(__file__).parents[2]
martfeast.expose(globals(), DbtProject(PROJECT, target_path="target/spark", target="spark"))
