"""The SQL function by which the dbt package links files of partitions that did not change.

dbt-duckdb loads this module as a plugin, where the profile names it. SQL itself cannot link.
"""

import json
import os
import shutil
from pathlib import Path

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection


class Plugin(BasePlugin):
    """Gives each connection the function martfeast_link."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Add the function to a connection."""
        conn.create_function("martfeast_link", link, ["VARCHAR"], "BIGINT", side_effects=True)


def link(pairs: str) -> int:
    """Give files other names beside those they have; nothing is read.

    A file is copied where the system does not link it: on some file systems, across two, or where
    it has as many names as a file may have.

    Args:
        pairs: JSON, a list of the path of each file and its new one, which is not there yet.

    Returns:
        How many were linked.

    Raises:
        OSError: a file is gone, or cannot be copied either.

    """
    linked = 0
    for file, new in json.loads(pairs):
        try:
            os.link(file, new)
            linked += 1
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(file, Path(new))
    return linked
