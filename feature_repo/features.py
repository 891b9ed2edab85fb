"""Every Feast object of this project, generated from the dbt marts in models/."""

from pathlib import Path

import martfeast

martfeast.expose(globals(), dbt_project=Path(__file__).parent.parent)
