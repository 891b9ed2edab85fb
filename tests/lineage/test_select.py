"""What each column of a SELECT is computed of, in forms that projects write."""

import pytest
from martfeast.lineage.select import trace_select
from martfeast.lineage.traced import Known, Untraceable

pytestmark = pytest.mark.fast
RELATIONS = {
    "db.a": Known("a", ["x", "y", "k", "s", "t"]),
    "db.b": Known("b", ["k", "z", "t"]),
    '"Odd"."c"': Known("c", ["x"]),
    "read_parquet('data/d.parquet')": Known("d", ["x"]),
    "db.unknown": Known("u", None),
    "db.part": Known("p", ["x"], is_whole=False),
}


def trace(sql, dialect="duckdb"):
    return trace_select(sql, dialect, RELATIONS)


def values(sql, dialect="duckdb"):
    """The columns of a SELECT, each with those that its value is computed of."""
    traced = trace(sql, dialect).columns
    return {name: {".".join(key) for key in one.values} for name, one in traced.items()}


def shaped(sql, column):
    return {f"{'.'.join(key)} {how}" for key, how in trace(sql).columns[column].shaped_by}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select x, y + 1 as y1, 1 as one from db.a", {"x": "a.x", "y1": "a.y", "one": ""}),
        ("with c as (select * from db.a) select c.x from c", {"x": "a.x"}),
        ("with a as (select z as x from db.b) select x from a", {"x": "b.z"}),
        (
            "with c as (select * from db.a),"
            " d as (select * exclude (y, s, t) replace (y as x) from c) select * from d",
            {"x": "a.y", "k": "a.k"},
        ),
        ("from db.a select x", {"x": "a.x"}),
        ("select x from (select * from db.a)", {"x": "a.x"}),
        ("select db.a.x from db.a", {"x": "a.x"}),
        ("select X from DB.A", {"x": "a.x"}),
        ('select one.x from "Odd"."c" as one', {"x": "c.x"}),
        ("select x from read_parquet('data/d.parquet')", {"x": "d.x"}),
        ("select k from db.a inner join db.b using (k)", {"k": "a.k b.k"}),
        ("select a.x, b.z from db.a asof left join db.b on a.t >= b.t", {"x": "a.x", "z": "b.z"}),
        ("select one.x from db.a as one join db.a as two on one.k = two.k", {"x": "a.x"}),
        ("select x from db.a union all select z from db.b", {"x": "a.x b.z"}),
        (
            "select k, x from db.a union all by name select z as x, k from db.b",
            {"k": "a.k b.k", "x": "a.x b.z"},
        ),
        ("select x from db.a except select z from db.b", {"x": "a.x b.z"}),
        ("select (select max(z) from db.b where b.k = a.k) as m from db.a", {"m": "b.z"}),
        ("select x, unnest(s) as e from db.a", {"x": "a.x", "e": "a.s"}),
        ("select u.e from db.a, unnest(a.s) as u(e)", {"e": "a.s"}),
        (
            "select l.m from db.a, lateral (select max(z) as m from db.b where b.k = a.k) as l",
            {"m": "b.z"},
        ),
        (
            "with recursive r as (select x, 1 as n from db.a union all"
            " select x, n + 1 from r where n < 3) select * from r",
            {"x": "a.x", "n": ""},
        ),
        ("select s.f as f, s['g'] as g from db.a", {"f": "a.s", "g": "a.s"}),
        ("select list_transform(s, lambda e: e + 1) as l from db.a", {"l": "a.s"}),
        ("select * from (values (1, 2)) as v(p, q)", {"p": "", "q": ""}),
        ("select range as n from range(10)", {"n": ""}),
        ("select case when y > 1 then x end as c from db.a", {"c": "a.x a.y"}),
        ("select sum(x) filter (where y > 1) as c from db.a", {"c": "a.x a.y"}),
        ("select sum(x) over (partition by k order by t) as c from db.a", {"c": "a.x"}),
        ("select p from db.unknown", {"p": "u.p"}),
        ("select p, x from db.unknown, db.a", {"p": "u.p", "x": "a.x"}),
        ("select x, q from db.part where q > 0", {"x": "p.x", "q": "p.q"}),
        ("select part.q, y from db.part, db.a", {"q": "p.q", "y": "a.y"}),
        ("with c as (select * from db.part) select q, x from c", {"q": "p.q", "x": "p.x"}),
        ("with c as (select * from db.unknown) select q from c", {"q": "u.q"}),
        (
            "with c as (select * from db.part), d as (select *, q + x as total from c)"
            " select total from d",
            {"total": "p.q p.x"},
        ),
        ("select cast(p as bigint) as p from db.unknown where p > 0", {"p": "u.p"}),
    ],
)
def test_values_come_from(sql, expected):
    assert values(sql) == {name: set(of.split()) for name, of in expected.items()}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select x as c from db.a where y > 1", "a.y filter"),
        ("select a.x as c from db.a join db.b on a.k = b.k", "a.k join, b.k join"),
        ("select sum(x) as c from db.a group by k having max(y) > 1", "a.k group, a.y filter"),
        ("select k, sum(x) as c from db.a group by all", "a.k group"),
        ("select distinct on (k) x as c from db.a", "a.k group"),
        ("select sum(x) over (partition by k order by t) as c from db.a", "a.k window, a.t window"),
        ("select sum(x) over w as c from db.a window w as (order by t)", "a.t window"),
        (
            "select x as c from db.a qualify row_number() over (partition by k order by t) = 1",
            "a.k filter, a.t filter",
        ),
        ("select x as c from db.a where k in (select k from db.b)", "a.k filter, b.k filter"),
        (
            "select x as c from db.a where exists (select 1 from db.b where b.k = a.k)",
            "a.k filter, b.k filter",
        ),
        ("with f as (select * from db.a where y > 1) select x as c from f", "a.y filter"),
        ("select a.x as c from db.a asof join db.b on a.t >= b.t", "a.t join, b.t join"),
        ("select x as c from db.a", ""),
    ],
)
def test_rows_are_decided_by(sql, expected):
    assert shaped(sql, "c") == set(filter(None, expected.split(", ")))


def test_counts_are_of_rows_and_literals_of_nothing():
    sql = (
        "with n as (select k, count(*) as c from db.a group by k) select sum(c) as c, 7 as l from n"
    )
    columns = trace(sql).columns
    assert (columns["c"].values, columns["c"].counted) == ((), ("a",))
    assert (columns["l"].values, columns["l"].counted) == ((), ())
    joined = trace("select count(1) as n, count(x) as m from db.a join db.b using (k)").columns
    assert joined["n"].counted == ("a", "b")
    assert joined["m"].counted == () and joined["m"].values == (("a", "x"),)


def test_the_steps_are_the_expressions_on_the_way():
    sql = (
        "with s as (select k, sum(x) as x from db.a group by k), p as (select * from s)"
        " select x/2 as h from p"
    )
    steps = trace(sql).columns["h"].steps
    assert [(step.name, step.sql) for step in steps] == [("", "p.x / 2"), ("s", "SUM(a.x)")]
    assert trace(sql).columns["h"].how == "aggregation"
    assert trace("select y as z from db.a").columns["z"].how == "identity"


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select * from db.unknown", "the columns of u are not known"),
        ("select p from db.unknown as one, db.part as two", "nothing says which relation p"),
        ("select x from elsewhere.t", "reads elsewhere.t"),
        ("select x as a, y as A from db.a", "two of one name"),
        ("select columns('x|y') from db.a", "COLUMNS"),
        ("insert into q select 1", "no SELECT"),
        ("select ((", "sqlglot cannot read it"),
        ("", "sqlglot cannot read it"),
        ("select nothing_like_it from db.a", "nothing says which relation"),
    ],
)
def test_what_cannot_be_traced_says_why(sql, why):
    with pytest.raises(Untraceable, match=why) as error:
        trace(sql)
    assert "\x1b" not in str(error.value)


BEFORE = (
    "with f as (select k, x, y from db.a where y > 1),"
    " s as (select k, sum(x) as total, max(y) as top from f group by k)"
    " select s.k, s.total, s.top, b.z from s left join db.b on s.k = b.k"
)


@pytest.mark.parametrize(
    ("old", "new", "redefined"),
    [
        (" f as", " filtered as", {}),  # with `from f` below: names do not matter
        ("max(y)", "min(y)", {"top"}),
        ("sum(x)", "sum(x + 1)", {"total"}),
        ("y > 1", "y > 2", {"total", "top"}),
        ("group by k)", "group by k, y)", {"total", "top"}),
        ("on s.k = b.k", "on s.k = b.k and b.t > s.top", {"z"}),
        ("b.z from", "b.z + 0 as z from", {"z"}),
        ("s.k, s.total", "s.total, s.k", {}),
        ("select k, x, y", "select k,  x, -- a comment\n y", {}),
    ],
)
def test_a_definition_is_of_one_column(old, new, redefined):
    after = BEFORE.replace(old, new)
    if old == " f as":
        after = after.replace("from f ", "from filtered ")
    assert after != BEFORE
    one, two = trace(BEFORE).columns, trace(after).columns
    assert {name for name in one if one[name].definition != two[name].definition} == set(redefined)


def test_what_decides_on_rows_has_a_checksum_of_its_own():
    base = trace(BEFORE).rows
    assert trace(BEFORE.replace("sum(x)", "sum(x + 1)")).rows == base
    for old, new in (("y > 1", "y > 2"), ("left join", "inner join"), ("s.k = b.k", "true")):
        assert trace(BEFORE.replace(old, new)).rows != base, new
    assert trace(BEFORE + " limit 3").rows != base


def test_windows_by_name_are_part_of_the_definition():
    sql = (
        "select sum(x) over w as c from db.a"
        " window w as (order by t rows between {} preceding and current row)"
    )
    assert (
        trace(sql.format(1)).columns["c"].definition != trace(sql.format(2)).columns["c"].definition
    )
    assert "2 PRECEDING" in trace(sql.format(2)).columns["c"].steps[0].sql.upper()


def test_other_dialects_are_read_too():
    assert values("select `x`, explode(s) as e from db.a", "spark") == {"x": {"a.x"}, "e": {"a.s"}}
    lateral = "select e from db.a lateral view explode(s) v as e"
    assert values(lateral, "spark") == {"e": {"a.s"}}
    assert values('select "X" from db.a', "snowflake")["x"] == {"a.x"}
