"""The two dbt projects that tests run, copied away and built once: the library and the flights.

The library is of another subject than the flights, so that nothing is tested on one subject alone.
"""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import duckdb
import martfeast.cli
import pytest
from click.testing import CliRunner
from commands import Command, ForkedPopen, Forks, run_forked
from martfeast import feast_objects, read_declaration
from martfeast.engines.spark import spark_session
from martfeast.files import locked
from martfeast.published.verified import SEEN
from nyc_flights.landing import package_folder

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
FLIGHTS = [
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
# The two weeks that are landed for Spark, with a clock change in them.
MARCH = range(1, 15)
# What is built or drawn for a test makes it slow; `make test-fast` leaves these out.
SLOW_FIXTURES = {
    "built_library",
    "built_project",
    "built_on_spark",
    "spark",
    "browser",
    "zoo",
    "built_ranged",
    "rentals",
    "parsed_shop",
    "told_library",
}
# What takes longest to build, and what takes a Java of its own in every worker.
LONG, JAVA = {"zoo"}, {"spark", "built_on_spark", "built_project"}
Json = dict[str, Any]
Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test as fast or slow: by a marker of its own, or else by its fixtures.

    The first of two workers takes the first half of the tests, and who is done takes from the end
    of what the other still has. So each half begins with what takes long, and not both with the
    same: a worker would wait for the other to build it, and Spark would be started twice.
    """
    for item in items:
        slow = item.get_closest_marker("slow") or SLOW_FIXTURES & fixtures_of(item)
        item.add_marker("slow" if slow else "fast")
    java = [item for item in items if JAVA & fixtures_of(item)]
    others = [item for item in items if not JAVA & fixtures_of(item)]
    others.sort(key=lambda item: not LONG & fixtures_of(item))
    half = len(items) // 2
    items[:] = [*others[:half], *java, *others[half:]]


def fixtures_of(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


@contextlib.contextmanager
def redirected() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Catch what is printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


@dataclass(frozen=True)
class Library:
    """A copy of tests/projects/library."""

    path: Path
    python_path: ClassVar[str] = str(REPOSITORY / "python")

    def copy_to(self, path: Path) -> "Library":
        """Copy; a registry belongs to the copy then."""
        shutil.copytree(self.path, path, symlinks=True)
        copy = Library(path)
        if copy.registry.exists():
            result = copy.martfeast("reroot", cwd=path)
            assert result.returncode == 0, result.stderr
        return copy

    def dbt(self, *arguments: str) -> Result:
        return self.run("dbt", *arguments, "--no-use-colors")

    def feast(self, *arguments: str, cwd: Path | None = None) -> Result:
        return self.run("feast", *self.in_feature_repo, *arguments, cwd=cwd)

    @property
    def in_feature_repo(self) -> list[str]:
        """The arguments of Feast's command before all others."""
        return ["-c", str(self.path / "feature_repo")]

    def martfeast(self, *arguments: str, cwd: Path) -> Result:
        """Run the command in this process; an exception that it does not expect is raised here."""
        with self.inside(cwd):
            done = CliRunner().invoke(martfeast.cli.main, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(["martfeast", *arguments], done.exit_code, done.stdout, done.stderr)

    def apply(self) -> None:
        """Apply what is declared, as `feast apply` does once the gate lets it pass.

        For tests of what comes after: those of the command itself are in tests/to_feast.
        """
        from feast import FeatureStore

        with self.inside(self.path), redirected():
            objects: list[Any] = [*feast_objects(read_declaration(self.path)).values()]
            FeatureStore(str(self.path / "feature_repo")).apply(objects)

    def lower(self, *criteria: str) -> None:
        """Lower criteria to warnings, where a test is about something else."""
        published = "    published_path: out/published"
        setting = f"\n    criteria: {{{', '.join(f'{name}: warn' for name in criteria)}}}"
        if setting not in (self.path / "dbt_project.yml").read_text():
            self.replace_in("dbt_project.yml", published, published + setting)

    @contextlib.contextmanager
    def inside(self, folder: Path) -> Iterator[None]:
        """Be in a folder, with the environment that commands of tests have."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment())
        try:
            with contextlib.chdir(folder):
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        return {**plain, "FEAST_USAGE": "False", "PYTHONPATH": self.python_path}

    def replay(self) -> None:
        result = self.martfeast("replay", cwd=self.path)
        assert result.returncode == 0, result.stdout + result.stderr

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> Result:
        """Run a command as a process of its own."""
        return self.start(command, *arguments, cwd=cwd).wait()

    def start(self, command: str, *arguments: str, cwd: Path | None = None) -> Command:
        """Start a command, to do something while it runs."""
        environment = self.environment()
        return Command(command, *arguments, cwd=cwd or self.path, environment=environment)

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
            if file.is_file() and file.suffix != ".duckdb" and file.name != SEEN
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

    def replace_in(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="session", autouse=True)
def _dbt_is_imported_once() -> Iterator[None]:
    """Let what starts dbt start it as other commands of tests are started."""
    forked = SimpleNamespace(run=run_forked)
    spawned = SimpleNamespace(
        get_context=lambda _: Forks(), parent_process=multiprocessing.parent_process
    )
    piped = SimpleNamespace(
        Popen=ForkedPopen,
        PIPE=subprocess.PIPE,
        STDOUT=subprocess.STDOUT,
        TimeoutExpired=subprocess.TimeoutExpired,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("martfeast.orchestration.command.subprocess", piped)
        patch.setattr("martfeast.replay.compiled.subprocess", forked)
        patch.setattr("martfeast.running_dbt.columns.subprocess", forked)
        patch.setattr("martfeast.backfill.dbt_process.multiprocessing", spawned)
        yield


Build = Callable[[Path], None]
BuildOnce = Callable[[str, Build], Path]


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildOnce]:
    """Build a folder once per run: the first worker that needs it does, the others wait for it.

    Tests only read such a folder; at the end it must be as it was built.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    built: dict[Path, str] = {}

    def build(name: str, how: Build) -> Path:
        folder, done = shared / name / "project", shared / f"{name}.built"
        with locked(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder.parent, ignore_errors=True)
                folder.parent.mkdir()
                how(folder)
                done.write_text(contents(folder))
        built[folder] = done.read_text()
        return folder

    yield build
    for folder, before in built.items():
        assert contents(folder) == before, f"a test has written to {folder}, which others read"


def contents(folder: Path) -> str:
    """What is in a folder: names, sizes and times of change; logs and byte code left out."""
    return "\n".join(
        f"{file.relative_to(folder)} {file.lstat().st_size} {file.lstat().st_mtime_ns}"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not {"logs", "__pycache__"} & set(file.parts)
    )


def copy_library(path: Path) -> Library:
    """Copy the library as it is in the repository, without what was built in it."""
    ignored = ("target", "logs", "dbt_packages", "out", "*.duckdb", "data")
    source = REPOSITORY / "tests/projects/library"
    shutil.copytree(source, path, ignore=shutil.ignore_patterns(*ignored))
    package = REPOSITORY / "python/martfeast/dbt_package"
    (path / "packages.yml").write_text(f"packages:\n  - local: {package}\n")
    return Library(path)


@pytest.fixture(scope="session")
def parsed_library(build_once: BuildOnce) -> Library:
    """The library as `dbt parse` leaves it: declared, and nothing built."""

    def parse(path: Path) -> None:
        library = copy_library(path)
        for command in ("deps", "parse"):
            result = library.dbt(command)
            assert result.returncode == 0, result.stdout

    return Library(build_once("parsed", parse))


@pytest.fixture
def parsed(parsed_library: Library, tmp_path: Path) -> Library:
    """Copy the parsed library, for one test to change."""
    return parsed_library.copy_to(tmp_path / "project")


@pytest.fixture(scope="session")
def manifest(parsed_library: Library) -> Json:
    """The library's manifest, with the macros that its nodes call and no others; not to change."""
    manifest = json.loads((parsed_library.path / "target/manifest.json").read_text())
    macros, called = manifest["macros"], {}
    waiting = ["macro.martfeast.record_results"]
    for node in manifest["nodes"].values():
        waiting += node["depends_on"]["macros"]
    while waiting:
        name = waiting.pop()
        if name not in called:
            called[name] = macros[name]
            waiting += macros[name]["depends_on"]["macros"]
    return {**manifest, "macros": called, "docs": {}}


@pytest.fixture(scope="session")
def built_library(build_once: BuildOnce) -> Library:
    """The library, built and replayed; tests read it and do not change it."""

    def build(path: Path) -> None:
        library = copy_library(path)
        for arguments in (["deps"], ["build"]):
            result = library.dbt(*arguments)
            assert result.returncode == 0, result.stdout
        library.replay()

    return Library(build_once("library", build))


@pytest.fixture
def library(built_library: Library, tmp_path: Path) -> Library:
    """Copy the built library, for one test to change."""
    return built_library.copy_to(tmp_path / "project")


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of the environment; the result has its output and errors as one text.

    What is named besides is set in its environment. A script has a Python of its own.
    """

    def run_command(
        *command: str, cwd: Path, succeeds: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            # The project's own copy, from its root and from its feature_repo.
            "PYTHONPATH": f"{cwd / 'python'}:{cwd.parent / 'python'}",
            "NO_COLOR": "1",
            **variables,
        }
        if command[0] == "python" and command[1] != "-m":
            streams: Json = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            result = subprocess.run(command, cwd=cwd, env=environment, text=True, **streams)
        else:
            arguments = command[1:] if command[0] == "python" else command
            done = Command(*arguments, cwd=cwd, environment=environment).wait()
            result = Result(command, done.returncode, done.stdout + done.stderr)
        assert (result.returncode == 0) == succeeds, result.stdout
        return result

    return run_command


def copy_flights(project: Path) -> None:
    """Copy the flights project as it is in the repository, without what was built in it."""
    for part in FLIGHTS:
        source, target = REPOSITORY / part, project / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignore = shutil.ignore_patterns("data", "__pycache__", "*.egg-info")
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copy(source, target)
    (project / "data").mkdir()


@pytest.fixture(scope="session")
def built_project(build_once: BuildOnce, run: Run) -> Path:
    """The flights project in a folder of its own, landed and built; tests only read it."""

    def build(project: Path) -> None:
        copy_flights(project)
        run("dbt", "deps", cwd=project)
        run("python", "-m", "nyc_flights.landing", cwd=project)
        run("dbt", "build", cwd=project)

    return build_once("flights", build)


# The JVM lives for a minute: compiling less of what it runs saves it a third of its time. What it
# does compile is more than the 48 MB that it keeps for that then.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
SPARK_DEFAULTS = f"spark.driver.defaultJavaOptions {JAVA_OPTIONS}\n"


@pytest.fixture(scope="session")
def built_on_spark(build_once: BuildOnce, run: Run) -> Path:
    """The flights of MARCH in a project of its own, built and published on DuckDB and on Spark.

    Tests only read. Spark's rows are there as Parquet: see `nyc_flights.parity`. Spark keeps the
    folder's path, so a copy is no project on Spark; a session in it writes to its metastore.
    """

    def build(project: Path) -> None:
        copy_flights(project)
        few_flights(project / "few_flights")
        run("dbt", "deps", cwd=project)
        run("python", "-m", "nyc_flights.landing", "--source", "few_flights", cwd=project)
        run("dbt", "build", cwd=project)
        settings = project / "spark_settings"
        settings.mkdir()
        (settings / "spark-defaults.conf").write_text(SPARK_DEFAULTS)
        script = str(Path(__file__).with_name("spark") / "build_flights.py")
        run("python", script, cwd=project, SPARK_CONF_DIR=str(settings))

    return build_once("flights_on_spark", build)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The Spark session of this process, small enough for tests: one Java for all of them."""
    pytest.importorskip("pyspark", reason="`make spark` installs it")
    session = spark_session(
        {
            "spark.master": "local[2]",
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.driver.host": "localhost",
        }
    )
    yield session
    session.stop()


def few_flights(folder: Path) -> None:
    """Write the sample data of some days of March, with the clock change of the 10th, as CSV."""
    folder.mkdir()
    source = package_folder()
    for name in ("airlines", "airports", "planes"):
        shutil.copy(source / f"{name}.csv", folder)
    with (source / "weather.csv").open() as lines:
        write_some_days(lines, folder / "weather.csv", month_column=2)
    with (
        zipfile.ZipFile(source / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        write_some_days(io.TextIOWrapper(file), folder / "flights.csv", month_column=1)


def write_some_days(lines: Iterable[str], to: Path, month_column: int) -> None:
    """Write the header and the lines of MARCH's days; the day follows the month."""
    header, *rows = lines
    days = [("3", str(day)) for day in MARCH]
    kept = [row for row in rows if tuple(row.split(",")[month_column:][:2]) in days]
    to.write_text("".join([header, *kept]))


@pytest.fixture
def project(built_project: Path, tmp_path: Path) -> Path:
    """A copy of the built project for a test to break."""
    copy = tmp_path / "project"
    shutil.copytree(built_project, copy, symlinks=True)
    return copy
