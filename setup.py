"""Takes the version from the dbt package, where it is told once; the rest is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

PROJECT = Path(__file__).parent / "python/martfeast/dbt_package/dbt_project.yml"
found = re.search(r'^version: "(.+)"$', PROJECT.read_text(), re.MULTILINE)
setup(version=found[1])
