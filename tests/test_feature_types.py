"""Contract types: which pass, under which names, and what is advised for the rest."""

import re

import pytest
from conftest import REPOSITORY
from martfeast.feature_types import LIST_ELEMENTS, TIMESTAMP, cast_to, feature_type


@pytest.mark.parametrize(
    ("contract_type", "name"),
    [
        ("varchar", "String"),
        ("VARCHAR(20)", "String"),
        ("text", "String"),
        ("bigint", "Int64"),
        ("INT8", "Int64"),
        ("Integer", "Int32"),
        ("int4", "Int32"),
        ("double  precision", "Float64"),
        ("real", "Float32"),
        ("bool", "Bool"),
        ("timestamp without time zone", "UnixTimestamp"),
        ("double[]", "Array(Float64)"),
        ("varchar(3)[]", "Array(String)"),
    ],
)
def test_types_that_pass(contract_type, name):
    assert str(feature_type(contract_type)) == name


@pytest.mark.parametrize(
    ("contract_type", "advice"),
    [
        ("numeric(10, 2)", "double, or to bigint if it has no decimals"),
        ("hugeint", "bigint, or to double"),
        ("timestamptz", "timestamp in UTC, for example: x at time zone 'UTC'"),
        ("date", "timestamp"),
        ("smallint", "integer"),
        ("decimal(9,2)[]", "a list of double, or to bigint if it has no decimals"),
        ("blob", "varchar, bigint, integer, double, float, boolean or timestamp"),
        ("varchar[3]", "varchar, bigint, integer, double, float, boolean or timestamp"),
        ("double[][]", "varchar, bigint, integer, double, float, boolean or timestamp"),
        ("", "varchar, bigint, integer, double, float, boolean or timestamp"),
    ],
)
def test_types_that_do_not(contract_type, advice):
    assert feature_type(contract_type) is None
    assert cast_to(contract_type) == advice


def test_the_docs_tables_say_the_same():
    page = (REPOSITORY / "docs/features.md").read_text()
    section = page.split("\n## Types\n")[1].split("\n## ")[0]
    passing, others = (
        [[cell.strip().split(", ") for cell in line.split("|")[1:3]] for line in table.splitlines()]
        for table in re.findall(r"\| --- .*\n((?:\|.*\n)+)", section)
    )
    named = {
        type_: name for types, names in passing for type_, name in zip(types, names, strict=True)
    }
    assert {type_: str(feature_type(type_)) for type_ in named} == named
    scalars = {str(one) for one in (*LIST_ELEMENTS, TIMESTAMP)}
    assert set(named.values()) == scalars | {f"Array({one})" for one in LIST_ELEMENTS}
    for types, advice in others:
        assert not any(map(feature_type, types))
        assert {cast_to(type_) for type_ in types} == {", ".join(advice)}
