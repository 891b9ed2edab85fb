"""A built copy of the flights project, made once for all tests that need one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PARTS = [
    "dbt_project.yml",
    "profiles.yml",
    "packages.yml",
    "package-lock.yml",
    "feature_repo",
    "macros",
    "models",
    "python",
    "seeds",
    "tests/data_tests",
]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of the environment; the result has its output and errors as one text."""

    def run_command(
        *command: str, cwd: Path, succeeds: bool = True
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(cwd / "python"),
            "NO_COLOR": "1",
        }
        result = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert (result.returncode == 0) == succeeds, result.stdout
        return result

    return run_command


@pytest.fixture(scope="session")
def built_project(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """The flights project in a folder of its own, landed and built; tests only read it."""
    project = tmp_path_factory.mktemp("flights") / "project"
    for part in PARTS:
        source, target = ROOT / part, project / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignore = shutil.ignore_patterns("data", "__pycache__", "*.egg-info")
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copy(source, target)
    (project / "data").mkdir()
    run("dbt", "deps", cwd=project)
    run("python", "-m", "nyc_flights.landing", cwd=project)
    run("dbt", "build", cwd=project)
    run("martfeast", "replay", cwd=project)
    return project


@pytest.fixture
def project(built_project: Path, tmp_path: Path) -> Path:
    """A copy of the built project for a test to break."""
    copy = tmp_path / "project"
    shutil.copytree(built_project, copy, symlinks=True)
    return copy
