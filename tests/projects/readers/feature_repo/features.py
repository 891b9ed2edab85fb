"""Every Feast object of the readers: of their own marts, and of those that the library shares."""

from pathlib import Path

import martfeast

martfeast.expose(globals(), dbt_project=Path(__file__).parent.parent)
