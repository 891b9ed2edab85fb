"""A second dbt project, of another subject: copied away and built once for all martfeast tests."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest

REPOSITORY = Path(__file__).parents[1]
Json = dict[str, Any]


@dataclass(frozen=True)
class Library:
    """A copy of tests/projects/library."""

    path: Path
    python_path: ClassVar[str] = str(REPOSITORY / "python")

    def copy_to(self, path: Path) -> "Library":
        """Copy with times of change kept, because staleness is judged by them."""
        shutil.copytree(self.path, path, symlinks=True)
        return Library(path)

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("dbt", *arguments, "--no-use-colors")

    def feast(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("feast", "-c", str(self.path / "feature_repo"), *arguments, cwd=cwd)

    def martfeast(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self.run("martfeast", *arguments, cwd=cwd)

    def replay(self) -> None:
        result = self.martfeast("replay", cwd=self.path)
        assert result.returncode == 0, result.stdout + result.stderr

    def run(
        self, command: str, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DBT_")
        }
        return subprocess.run(
            [Path(sys.executable).parent / command, *arguments],
            cwd=cwd or self.path,
            env={**environment, "FEAST_USAGE": "False", "PYTHONPATH": self.python_path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    @property
    def published(self) -> Path:
        return self.path / "out/published"

    @property
    def registry(self) -> Path:
        return self.path / "feature_repo/data/registry.db"

    def published_bytes(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.published)): file.read_bytes()
            for file in sorted(self.published.rglob("*"))
            if file.is_file() and file.suffix != ".duckdb"
        }

    def release(self) -> Json:
        return json.loads((self.published / "current.json").read_text())

    def published_mart(self, name: str) -> Json:
        return next(mart for mart in self.release()["marts"] if mart["mart"] == name)

    def versions(self) -> dict[str, str | None]:
        """The version of each mart in the current release."""
        return {mart["mart"]: mart["version"] for mart in self.release()["marts"]}

    def said(self, *arguments: str, succeeds: bool = True) -> list[str]:
        """Run dbt; return what martfeast said in the end."""
        result = self.dbt(*arguments)
        assert (result.returncode == 0) == succeeds, result.stdout
        lines = result.stdout.splitlines()
        said = [line.split("martfeast: ", 1)[1] for line in lines if "martfeast: " in line]
        return [line for line in said if not line.startswith("writing ")]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path / "library.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.path / "library.duckdb")) as connection:
            connection.execute(sql)

    def edit_manifest(self, edit: Callable[[Json], object]) -> None:
        path = self.path / "target/manifest.json"
        manifest = json.loads(path.read_text())
        edit(manifest)
        path.write_text(json.dumps(manifest))

    def replace_in(self, file: str, old: str, new: str, *, keep_time: bool = False) -> None:
        path = self.path / file
        text, status = path.read_text(), path.stat()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        if keep_time:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture(scope="session")
def built_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Build the library with dbt, green. Tests read it and do not change it."""
    library = Library(tmp_path_factory.mktemp("library") / "project")
    shutil.copytree(
        REPOSITORY / "tests/projects/library",
        library.path,
        ignore=shutil.ignore_patterns("target", "logs", "dbt_packages", "out", "*.duckdb", "data"),
    )
    package = REPOSITORY / "python/martfeast/dbt_package"
    (library.path / "packages.yml").write_text(f"packages:\n  - local: {package}\n")
    for arguments in (["deps"], ["build"]):
        result = library.dbt(*arguments)
        assert result.returncode == 0, result.stdout
    library.replay()
    return library


@pytest.fixture
def library(built_library: Library, tmp_path: Path) -> Library:
    """Copy the built library, for one test to change."""
    return built_library.copy_to(tmp_path / "project")
