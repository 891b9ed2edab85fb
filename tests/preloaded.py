"""What the commands of tests find imported: dbt and Feast, and dbt's readers of artifacts.

dbt makes these readers when they are first used, which takes it half a second.
"""

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

import feast.cli.cli  # noqa: F401
from dbt.cli.main import dbtRunner

LIBRARY = Path(__file__).parent / "projects/library"
PACKAGE = Path(__file__).parents[1] / "python/martfeast/dbt_package"


def parse() -> None:
    """Parse the library twice: anew, and then what changed since."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        project = Path(folder, "project")
        shutil.copytree(LIBRARY, project)
        (project / "packages.yml").write_text(f"packages:\n  - local: {PACKAGE}\n")
        with contextlib.chdir(project):
            for command in ("deps", "parse", "parse"):
                # The static parser starts threads, which a fork would lack.
                dbtRunner().invoke(["--quiet", "--no-static-parser", command])


parse()
