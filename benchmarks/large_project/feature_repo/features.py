"""Every Feast object of the library, generated from its dbt marts."""

from pathlib import Path

import martfeast

martfeast.expose(globals(), dbt_project=Path(__file__).parent.parent)
