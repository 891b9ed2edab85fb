"""Which contract types Feast keeps without loss, and what to cast the others to."""

import re
from dataclasses import dataclass

import pyarrow


@dataclass(frozen=True)
class FeatureType:
    """A type that survives dbt contract -> Parquet -> Feast.

    name: the name in ``feast.types``; for a list, that of its elements.
    arrow: the type a published Parquet file must have. is_list: a one-dimensional list.
    """

    name: str
    arrow: pyarrow.DataType
    is_list: bool = False

    def __str__(self) -> str:
        return f"Array({self.name})" if self.is_list else self.name


STRING = FeatureType("String", pyarrow.string())
INT64 = FeatureType("Int64", pyarrow.int64())
INT32 = FeatureType("Int32", pyarrow.int32())
FLOAT64 = FeatureType("Float64", pyarrow.float64())
FLOAT32 = FeatureType("Float32", pyarrow.float32())
BOOL = FeatureType("Bool", pyarrow.bool_())
TIMESTAMP = FeatureType("UnixTimestamp", pyarrow.timestamp("us"))

ENTITY_TYPES = (STRING, INT64, INT32)
LIST_ELEMENTS = (STRING, INT64, INT32, FLOAT64, FLOAT32, BOOL)

_BY_CONTRACT_TYPE = {
    **dict.fromkeys(("varchar", "text", "string", "char", "bpchar"), STRING),
    **dict.fromkeys(("bigint", "int8", "long"), INT64),
    **dict.fromkeys(("integer", "int", "int4", "signed"), INT32),
    **dict.fromkeys(("double", "float8", "double precision"), FLOAT64),
    **dict.fromkeys(("float", "real", "float4"), FLOAT32),
    **dict.fromkeys(("boolean", "bool", "logical"), BOOL),
    **dict.fromkeys(("timestamp", "datetime", "timestamp without time zone"), TIMESTAMP),
    "timestamp_ntz": TIMESTAMP,  # Spark's, whose timestamp is one of the session's zone, UTC
}

_CAST_TO = {
    **dict.fromkeys(("decimal", "numeric", "dec"), "double, or to bigint if it has no decimals"),
    **dict.fromkeys(("hugeint", "uhugeint", "ubigint", "int128"), "bigint, or to double"),
    **dict.fromkeys(("tinyint", "smallint", "utinyint", "usmallint", "int1", "int2"), "integer"),
    **dict.fromkeys(("uinteger",), "bigint"),
    **dict.fromkeys(
        ("timestamptz", "timestamp with time zone"),
        "timestamp in UTC, for example: x at time zone 'UTC'",
    ),
    **dict.fromkeys(("date", "timestamp_s", "timestamp_ms", "timestamp_ns"), "timestamp"),
    **dict.fromkeys(("uuid", "json", "enum"), "varchar"),
}


def feature_type(contract_type: str) -> FeatureType | None:
    """Return the type for a contract's data_type, in any case; None where Feast would lose data.

    ``varchar(20)`` counts as ``varchar``; ``double[]`` is a list of ``double``, and Spark's
    ``array<double>`` too. The elements of a list must not be null, which no contract can say: Feast
    turns null text into '', null booleans into false, and fails on null integers.
    """
    name = _normalized(contract_type)
    element = re.fullmatch(r"(?P<before>.+?) ?\[\]|array ?<(?P<within>.+)>", name)
    if element:
        kind = (element["before"] or element["within"]).strip()
        found = _BY_CONTRACT_TYPE.get(_without_length(kind))
        if found not in LIST_ELEMENTS:
            return None
        return FeatureType(found.name, pyarrow.list_(found.arrow), is_list=True)
    return _BY_CONTRACT_TYPE.get(_without_length(name))


def cast_to(contract_type: str) -> str:
    """Return what a contract type that has no feature type is best cast to, as words."""
    name = re.sub(r" ?\(.*?\)", "", _normalized(contract_type))
    if name.endswith("[]") and not name.endswith("[][]"):
        return f"a list of {cast_to(name[:-2].strip())}"
    supported = "varchar, bigint, integer, double, float, boolean or timestamp"
    return _CAST_TO.get(name, supported)


def _normalized(contract_type: str) -> str:
    return " ".join(contract_type.lower().split())


def _without_length(name: str) -> str:
    return re.sub(r"^(varchar|char|bpchar|text|string) ?\(\d+\)$", r"\1", name)
