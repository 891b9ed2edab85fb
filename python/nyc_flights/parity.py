"""Build the project on Spark too, and compare every table with DuckDB's, row by row.

``python -m nyc_flights.parity`` compares with what ``dbt build`` left in data/warehouse.duckdb. It
leaves behind::

    data/spark/warehouse, data/spark/metastore_db  Spark's tables, and what it knows of them
    data/spark/read/<schema>.<table>/              the rows of each, as Parquet
    target/spark/                                  dbt's artifacts of the build
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from dbt.cli.main import dbtRunner
from martfeast.engines.duckdb import connect_in_utc, literal, parquet_rows, quoted
from martfeast.engines.engine import Rows, open_engine
from martfeast.files import remove
from martfeast.from_dbt.dbt_project import DbtProject
from martfeast.running_dbt.stand_in import read_target

PROJECT = Path(__file__).parents[2]
ARTIFACTS = "target/spark"
READ = "data/spark/read"
WAREHOUSE = "data/warehouse.duckdb"
# What dbt ran differs by nature: the evidence, and how it was judged.
EVIDENCE = ("martfeast", "martfeast_judge")


class ParityError(Exception):
    """A comparison that cannot be made: what is wrong, and the next step."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}. Next step: {next_step}.")


@dataclass(frozen=True)
class Parity:
    """How a table on Spark compares with DuckDB's.

    relation: schema and name. rows: of DuckDB's. types: the columns whose type differs, or that
    one side lacks, as text; rows are not compared then. only_duckdb, only_spark: the rows that the
    other lacks. last_place: by column of doubles, the rows that differ by one unit in the last
    place and no more.
    """

    relation: str
    rows: int
    types: list[str]
    only_duckdb: int
    only_spark: int
    last_place: dict[str, int]

    @property
    def is_equal(self) -> bool:
        """Whether the rows are the same, in any order, but for the last place of doubles."""
        return not (self.types or self.only_duckdb or self.only_spark)

    def __str__(self) -> str:
        if self.types:
            return f"{self.relation}: other types on DuckDB and Spark: {', '.join(self.types)}"
        if not self.is_equal:
            return (
                f"{self.relation}: of {self.rows:,} rows, {self.only_duckdb:,} are DuckDB's alone"
                f" and {self.only_spark:,} Spark's alone"
            )
        said = [f"{name} ({rows:,} rows)" for name, rows in self.last_place.items()]
        but = f"equal but for the last place of {', '.join(said)}" if said else "equal in every bit"
        return f"{self.relation}: {self.rows:,} rows, {but}"


def build_on_spark(project: Path = Path()) -> None:
    """Run ``dbt build --target spark``, in a Spark session of this process that stays open.

    Args:
        project: the root of the project, which is landed; the working directory, because Spark's
            places in profiles.yml are relative to it.

    Raises:
        ParityError: a model, a data test or a unit test failed.

    """
    command = ["build", "--target", "spark", "--target-path", ARTIFACTS]
    result = dbtRunner().invoke([*command, "--project-dir", str(project)])
    if not result.success:
        raise ParityError(
            f"dbt build --target spark failed{f': {result.exception}' if result.exception else ''}",
            "see what dbt says above",
        )


def read_from_spark(project: Path = Path()) -> list[str]:
    """Write the rows of every table and view as Parquet, in the session that built them.

    Args:
        project: the root of the project, as `build_on_spark` left it.

    Returns:
        The relations, ``schema.name``: one folder of part files for each, timestamps in UTC
        without zone, which replaces an earlier one.

    """
    target = read_target(DbtProject(project, target="spark"), None)
    engine = open_engine(target.credentials)
    relations = list(relations_of(project))
    for relation in relations:
        remove(project / READ / relation)
        engine.export(Rows(relation), project / READ / relation)
    return relations


def relations_of(project: Path) -> Iterator[str]:
    """Yield each model and seed that was built on Spark, ``schema.name``, the evidence left out."""
    manifest = json.loads((project / ARTIFACTS / "manifest.json").read_text())
    for node in manifest["nodes"].values():
        if (
            node["resource_type"] in ("model", "seed")
            and node["config"]["materialized"] != "ephemeral"
            and node["schema"] not in EVIDENCE
        ):
            yield f"{node['schema']}.{node['alias']}"


def compare_all(project: Path = Path()) -> list[Parity]:
    """Compare what `read_from_spark` wrote with the project's warehouse in DuckDB.

    Raises:
        ParityError: the warehouse, or a table in it, is missing.

    """
    project = project.resolve()
    warehouse = project / WAREHOUSE
    if not warehouse.exists():
        raise ParityError(f"there is no {warehouse}", "run `make build`")
    # Staging views name the landed files relative to the project.
    with contextlib.chdir(project), connect_in_utc() as connection:
        connection.execute(f"attach {literal(str(warehouse))} as built (read_only)")
        found = []
        for relation in relations_of(project):
            schema, name = relation.split(".")
            try:
                found.append(
                    compare(
                        connection,
                        relation,
                        f"built.{quoted(schema)}.{quoted(name)}",
                        parquet_rows(project / READ / relation),
                    )
                )
            except duckdb.CatalogException as error:
                raise ParityError(
                    f"DuckDB has no {relation} ({error})", "run `make build`"
                ) from error
        return found


def compare(
    connection: duckdb.DuckDBPyConnection, relation: str, on_duckdb: str, on_spark: str
) -> Parity:
    """Compare the rows of two relations, how often each occurs and both directions.

    Doubles are the same if they print alike, which tells bits apart: 0.0 from -0.0 too. Of the rows
    that are left, those match that have the same values but for doubles within one unit in the
    last place of each other.

    Args:
        connection: a DuckDB, which gets temporary tables.
        relation: the name, to report.
        on_duckdb: SQL of a relation of DuckDB's rows.
        on_spark: SQL of a relation of Spark's rows.

    """
    types = [types_of(connection, sql) for sql in (on_duckdb, on_spark)]
    ((rows,),) = connection.execute(f"select count(*) from {on_duckdb}").fetchall()
    if types[0] != types[1]:
        changed = [
            f"{name}: {' and '.join(of.get(name, 'none') for of in types)}"
            for name in {**types[0], **types[1]}
            if types[0].get(name) != types[1].get(name)
        ]
        return Parity(relation, rows, changed, 0, 0, {})

    doubles = [name for name, type_ in types[0].items() if type_ == "DOUBLE"]
    exact = ", ".join(
        f"{quoted(name)}::varchar as {quoted(name)}" if name in doubles else quoted(name)
        for name in types[0]
    )
    sides = {"left_rows": (on_duckdb, on_spark), "right_rows": (on_spark, on_duckdb)}
    keys = [quoted(name) for name in types[0] if name not in doubles]
    numbers = [quoted(name) for name in doubles]
    for side, (one, other) in sides.items():
        order = f"partition by {', '.join(keys) or '1'} order by {', '.join(numbers) or '1'}"
        back = ", ".join([*keys, *(f"{name}::double as {name}" for name in numbers)])
        connection.execute(
            f"create or replace temp table {side} as select *, row_number() over ({order}) as twin"
            f" from (select {back} from"
            f" (select {exact} from {one} except all select {exact} from {other}))"
        )
    same = " and ".join(f"l.{key} is not distinct from r.{key}" for key in [*keys, "twin"])
    near = " and ".join(f"{_is_near(name)}" for name in numbers) or "true"
    matched = f"from left_rows as l inner join right_rows as r on {same} and {near}"
    counts = ", ".join(
        [
            "count(*)",
            *(
                f"count(*) filter (l.{name}::varchar is distinct from r.{name}::varchar)"
                for name in numbers
            ),
        ]
    )
    ((near_rows, *last_places),) = connection.execute(f"select {counts} {matched}").fetchall()
    left, right = (
        connection.execute(f"select count(*) from {side}").fetchall()[0][0] for side in sides
    )
    return Parity(
        relation=relation,
        rows=rows,
        types=[],
        only_duckdb=left - near_rows,
        only_spark=right - near_rows,
        last_place={name: n for name, n in zip(doubles, last_places, strict=True) if n},
    )


def types_of(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Return the columns of a relation with their types, as DuckDB names them."""
    return {
        name: type_ for name, type_, *_ in connection.execute(f"describe from {sql}").fetchall()
    }


def _is_near(name: str) -> str:
    """Return SQL: whether two doubles, of `l` and of `r`, are neighbours or the same."""
    return (
        f"(l.{name} is not distinct from r.{name} or r.{name} between"
        f" nextafter(l.{name}, '-inf'::double) and nextafter(l.{name}, 'inf'::double))"
    )


def main() -> int:
    """Build, read and compare; return the exit code, 1 if a table differs."""
    try:
        build_on_spark()
        read_from_spark()
        found = compare_all()
    except ParityError as error:
        print(f"Parity not shown: {error}", file=sys.stderr)
        return 1
    for parity in found:
        print(parity)
    equal = sum(parity.is_equal for parity in found)
    bitwise = sum(parity.is_equal and not parity.last_place for parity in found)
    print(f"{equal} of {len(found)} tables are equal on DuckDB and Spark, {bitwise} in every bit")
    return 0 if equal == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
