"""What the commands of tests find done already: imports, and work that is always the same.

dbt makes its readers of artifacts when they are first used, which takes it half a second, and
turns each macro that it calls into Python, which takes it one. Both depend on code alone. What it
reads of the text of macros it keeps by itself, in tests.
"""

import contextlib
import gc
import io
import json
import shutil
import tempfile
from pathlib import Path
from types import CodeType
from typing import Any

import dbt.task.build
import dbt.task.seed  # noqa: F401
import feast.cli.cli
import feast.infra.online_stores.sqlite  # noqa: F401
import martfeast.cli
import martfeast.gate.assess
import martfeast.replay.project
import martfeast.to_feast.expose  # noqa: F401
from dbt.cli.main import dbtRunner
from dbt_common.clients.jinja import get_template
from dbt_common.tests import enable_test_caching
from jinja2 import Environment

LIBRARY = Path(__file__).parent / "projects/library"
PACKAGE = Path(__file__).parents[1] / "python/martfeast/dbt_package"

compile_anew = Environment.compile
compiled: dict[tuple[object, ...], CodeType] = {}


def compile_once(self: Environment, source: Any, *arguments: Any, **named: Any) -> Any:
    """Compile a template; what was compiled before is taken from there."""
    if arguments or named or not isinstance(source, str):
        return compile_anew(self, source, *arguments, **named)
    key = (type(self), self.code_generator_class, *sorted(self.extensions), source)
    if key not in compiled:
        compiled[key] = compile_anew(self, source)
    return compiled[key]


def dump(value: Any, file: Any, **options: Any) -> None:
    """Write what `json.dump` writes, encoded in C, which it does piece by piece in Python."""
    file.write(json.dumps(value, **options))


def parse() -> None:
    """Parse the library twice, anew and then what changed since, and compile all macros."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        project = Path(folder, "project")
        shutil.copytree(LIBRARY, project)
        (project / "packages.yml").write_text(f"packages:\n  - local: {PACKAGE}\n")
        with contextlib.chdir(project):
            for command in ("deps", "parse", "parse"):
                # The static parser starts threads, which a fork would lack.
                done = dbtRunner().invoke(["--quiet", "--no-static-parser", command])
    manifest: Any = done.result
    for macro in manifest.macros.values():
        get_template(macro.macro_sql, ctx={}, node=macro)


enable_test_caching()
Environment.compile = compile_once  # type: ignore[method-assign]
json.dump = dump  # type: ignore[assignment]
parse()
# What is here stays: a command need not look through it for garbage, nor copy the pages it is on.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 20, 20)
