"""Compares published Parquet with the contract, from the file's footer alone."""

import pyarrow
from pyarrow import parquet

from martfeast.declaration import Mart
from martfeast.feature_types import TIMESTAMP
from martfeast.marts import PUBLISHED_AT
from martfeast.problems import ProblemLog


def check_published(mart: Mart, log: ProblemLog) -> None:
    """Log what is wrong with a mart's published file: missing, unreadable, or other columns."""
    build = "Run `dbt build`; the last one may have failed."
    if not mart.path.exists():
        message = f"{mart.path} does not exist."
        log.add(mart.place, mart.name, "published-missing", message, build)
        return
    try:
        schema = parquet.read_schema(mart.path)
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        message = f"{mart.path} is not a whole Parquet file: {reason}."
        log.add(mart.place, mart.name, "published-unreadable", message, build)
        return
    expected = {column.name: column.type for column in mart.columns}
    expected[PUBLISHED_AT] = TIMESTAMP
    found = dict(zip(schema.names, schema.types, strict=True))
    differences = [f"{name} is missing" for name in expected if name not in found]
    differences += [f"{name} is not in the contract" for name in found if name not in expected]
    differences += [
        f"{name} is {found[name]} where the contract says {wanted.arrow}"
        for name, wanted in expected.items()
        if wanted is not None and name in found and found[name] != wanted.arrow
    ]
    if differences:
        message = f"{mart.path} differs from the contract: {'; '.join(differences)}."
        log.add(mart.place, mart.name, "published-columns-differ", message, build)
