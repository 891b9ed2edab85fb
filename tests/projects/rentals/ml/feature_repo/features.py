"""Every Feast object of the rentals, from the dbt project beside this folder."""

from pathlib import Path

import martfeast

martfeast.expose(globals(), dbt_project=Path(__file__).parents[2] / "transform")
