"""Plans: what SQL calls and reads, whatever it calls it, and how it makes rows."""

import duckdb
import pytest
from martfeast.replay.plan import read_plan

KNOWN = {"visits", "guests", "names"}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    connection = duckdb.connect()
    connection.execute(
        "create table visits (id int, came timestamp, tags int[]);"
        "create table guests (id int, size int);"
        "create table names (id int, name varchar);"
        "create table dated (id int, current_date date);"
    )
    folder = tmp_path_factory.mktemp("files")
    connection.execute(f"set file_search_path = '{folder}'")
    for name in ("file.csv", "file.parquet", "file.json"):
        connection.execute(f"copy guests to '{folder}/{name}'")
    return connection


def plan_of(database, sql):
    return read_plan(database, sql, {})


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select now() from visits", ["now"]),
        ('select "now"() from visits', ["now"]),
        ("select pg_catalog.now() from visits", ["now"]),
        ("select NOW() from visits", ["now"]),
        ("select today() from visits", ["today"]),
        ("select current_date from visits", ["current_date"]),
        ('select "current_date" from visits', ["current_date"]),
        ("select Current_Timestamp from visits", ["current_timestamp"]),
        ("select localtime, localtimestamp, current_time", None),
        ("select id from visits where came > current_timestamp", ["current_timestamp"]),
        ("select current_date - cast(came as date) from visits", ["current_date"]),
        ("select current_date::varchar || 'x' from visits", ["current_date"]),
        ("select cast(date_trunc('day', now()) as date) from visits", ["now"]),
        ("select age(came) from visits", ["age"]),
        ("select ago(interval 1 day) from visits", ["ago"]),
        ("select pg_postmaster_start_time() from visits", ["pg_postmaster_start_time"]),
        ("select random() from visits", ["random"]),
        ("select list_transform(tags, lambda x: x + random()) from visits", ["random"]),
        ("select uuid(), gen_random_uuid(), uuidv7() from visits", None),
        ("select id from visits using sample 10%", ["sample"]),
        ("select id from visits tablesample bernoulli (10 percent)", ["sample"]),
        ("select id from (from visits using sample 3 rows)", ["sample"]),
        ("from range(timestamp '2026-01-01', now()::timestamp, interval 1 day)", ["now"]),
        ("from range(date '2026-01-01', current_date, interval 1 day)", ["current_date"]),
        ("from query('select now() from visits')", ["now"]),
        ("from query('from query(''select current_date'')')", ["current_date"]),
        ("with days as (select now() as came) select id from visits, days", ["now"]),
        ("select id from visits order by random()", ["random"]),
        ("select *, now() from 'file.csv'", ["now"]),
        ("select *, current_date from read_parquet('file.parquet')", ["current_date"]),
        ("select id, dated.current_date, now() from dated", ["now"]),
        ("select current_date.strftime('%Y') from visits", ["strftime"]),
        ("select current_timestamp.year(), localtime.hour() from visits", None),
        ("select came.age() from visits", ["age"]),
        ("select v.came.age() from visits v", None),
        ("select (interval 1 day).ago() from visits", ["ago"]),
        ("from query('select no' || 'w() as x')", ["now"]),
        ("from query(array_to_string(['select', 'random() as x'], ' '))", ["random"]),
        ("select version() from visits", ["version"]),
    ],
)
def test_a_reading_of_the_clock_or_of_chance(database, sql, words):
    found = plan_of(database, sql).unstable()
    assert found
    if words is not None:
        assert [word.lower() for word in found] == words


@pytest.mark.parametrize(
    "sql",
    [
        "select current_date from dated",
        'select "current_date" from dated',
        "select date_diff('day', came, current_date) from visits, dated",
        "select dated.current_date from dated",
        "select came as current_date from visits",
        "with days as (select came as current_date from visits) select current_date from days",
        "with days as (select came::date as current_date from visits)"
        " select current_date - date '2026-01-01' from days where current_date::varchar > ''",
        "select came::date as current_date, current_date + 1 as next from visits",
        "select 'now()' as now, id as random from visits -- now()",
        "select age(came, came), date_trunc('day', came) from visits",
        "with now as (select 1 as id) select id from now",
        "select error('no') from visits",
        "from query('select id from visits')",
        "select came.strftime('%Y'), came.year(), upper('x').lower() from visits",
        "select age(came, came), came.age(came) from visits",
    ],
)
def test_names_that_look_like_a_clock(database, sql):
    found = plan_of(database, sql)
    assert not found.error
    assert found.unstable() == []


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("from 'file.csv'", ["file.csv"]),
        ("from 'file.parquet'", ["file.parquet"]),
        ('select * from visits join "file.json" using (id)', ["file.json"]),
        ("from read_csv('file.csv')", ["read_csv"]),
        ("from parquet_scan('file.parquet')", ["parquet_scan"]),
        ("from parquet_file_metadata('file.parquet')", ["parquet_file_metadata"]),
        ("from parquet_schema('file.parquet')", ["parquet_schema"]),
        ("from sniff_csv('file.csv')", ["sniff_csv"]),
        ("from read_text('file.csv')", ["read_text"]),
        ("from glob('*')", ["glob"]),
        ("from duckdb_tables()", ["duckdb_tables"]),
        ("from duckdb_tables", ["duckdb_tables"]),
        ("from duckdb_settings()", ["duckdb_settings"]),
        ("from pragma_table_info('visits')", ["pragma_table_info"]),
        ("select * from visits, (select count(*) from duckdb_columns())", ["duckdb_columns"]),
        ("from query('from duckdb_tables()')", ["duckdb_tables"]),
        ("from query('from ''file.csv''')", ["file.csv"]),
        ("select id in (select id from 'file.csv') from visits", ["file.csv"]),
        ("from information_schema.tables", None),
        ("from pg_catalog.pg_class", None),
        ("from sqlite_master", None),
        ("from dated", ["dated"]),
    ],
)
def test_what_is_read_past_dbt(database, sql, names):
    found = plan_of(database, sql).reads(KNOWN)
    assert found
    if names is not None:
        assert found == names


@pytest.mark.parametrize(
    "sql",
    [
        "from visits",
        'with "v1.visits" as (from visits) from "v1.visits"',
        'with "file.csv" as (from visits) from "file.csv"',
        "from query('from visits')",
        "from query_table('visits')",
        "select * from visits, unnest(tags), range(3), generate_series(1, id)",
        "from json_each('[1, 2]')",
        "values (1), (2)",
        "select id as \"read_csv('x')\", 'glob(''*'')' from visits",
    ],
)
def test_what_only_looks_like_a_file(database, sql):
    found = plan_of(database, sql)
    assert not found.error
    assert found.reads(KNOWN) == []


AGGREGATES, WINDOWS, ONE, FIRST, JOINS = (
    "aggregates rows",
    "ranks rows or looks at others by a window",
    "keeps one row of several",
    "keeps the first rows",
    "joins rows",
)


@pytest.mark.parametrize(
    ("sql", "operations"),
    [
        ("select count(*) from visits", {AGGREGATES}),
        ("select id, max(came) from visits group by id", {AGGREGATES}),
        ("select arg_max(id, came) from visits", {AGGREGATES}),
        ("pivot guests on id in (1, 2) using sum(size)", {AGGREGATES}),
        ("summarize guests", {AGGREGATES}),
        ("select *, row_number() over () from visits", {WINDOWS}),
        ("select lead(came) over (order by came) from visits", {WINDOWS}),
        ("from visits qualify count(*) over (partition by id) = 1", {WINDOWS}),
        ("select distinct on (id) * from visits", {ONE}),
        ("from visits order by came desc limit 3", {FIRST}),
        ("from visits order by came desc limit 10%", None),
        ("from visits offset 3", {FIRST}),
        ("from visits using sample 10%", {"takes a sample of rows"}),
        ("from visits join guests using (id)", {JOINS}),
        ("from visits, guests", {JOINS}),
        ("from visits left join guests on guests.id > visits.id", {JOINS}),
        ("from visits positional join guests", {JOINS}),
        ("from visits asof join guests on visits.id >= guests.id", {JOINS}),
        ("from visits semi join guests using (id)", {JOINS}),
        ("from visits anti join guests using (id)", {JOINS}),
        ("from visits a join visits b using (id)", {JOINS}),
        ("with v as (from visits) from v a join v b using (id)", {JOINS}),
        ("from visits where id in (select id from guests)", {JOINS}),
        ("from visits where exists (from guests where guests.id = visits.id)", {JOINS}),
        ("select *, (select size from guests where guests.id = visits.id) from visits", None),
        ("select *, (select max(size) from guests) from visits", None),
        ("select visits.* from visits, lateral (select size from guests where size > id)", {JOINS}),
        ("select id from visits except select id from guests", {JOINS}),
        ("select id from visits intersect select id from guests", {JOINS}),
        (
            "with recursive r as (select id from visits union all"
            " select id + 1 from r where id < 3) from r",
            {JOINS},
        ),
        (
            'with "__duckdb_delim_dedup_0" as (select count(*) as n from visits)'
            ' from "__duckdb_delim_dedup_0"',
            None,
        ),
        ("pivot guests on id using sum(size)", None),
        ("from 'file.csv'", None),
        ("select n from (select count(*) as n from visits), names", {AGGREGATES}),
        ("select id from visits group by id having count(*) > 1", {AGGREGATES}),
        ("select id, size from guests group by rollup (id, size)", {AGGREGATES}),
        # Whether there is a row of facts is known from all of them, whatever else it is joined to.
        ("from names left join visits using (id)", {JOINS}),
        ("from visits right join names using (id)", {JOINS}),
        ("from visits full join names using (id)", {JOINS}),
        ("from names where id in (select id from visits)", {JOINS}),
        ("from names where id not in (select id from visits)", {JOINS}),
        ("select id in (select id from visits) from names", {JOINS}),
        ("select exists (from visits where visits.id = names.id) from names", {JOINS}),
        ("from names semi join visits using (id)", {JOINS}),
        ("from names anti join visits using (id)", {JOINS}),
        ("from names asof left join visits on names.id >= visits.id", {JOINS}),
        ("select id from names except select id from visits", {JOINS}),
        ("select id from names intersect select id from visits", {JOINS}),
        ("select *, (select max(came) from visits where visits.id = names.id) from names", None),
    ],
)
def test_a_row_that_is_made_of_several(database, sql, operations):
    found = plan_of(database, sql).operations({"visits", "guests"})
    assert found
    if operations is not None:
        assert set(found) == operations


@pytest.mark.parametrize(
    "sql",
    [
        "select id + 1 as id, came::date as day from visits where id > 3 order by came",
        "select distinct id, came from visits",
        "select id, came from visits group by all",
        "select id, came from visits group by 1, 2",
        "from names right join visits using (id)",
        "from names join visits using (id)",
        "select id from visits intersect select id from names",
        "select id from visits union all select id from guests",
        "select id from visits union select id from guests",
        "select *, unnest(tags) from visits",
        "select * from visits, unnest(tags)",
        "select *, (select sum(tag) from unnest(tags) as t (tag)) from visits",
        "select list_sum(tags), list_aggregate(tags, 'max') from visits",
        "select * from visits, range(id)",
        "unpivot guests on size",
        "with v as (from visits), w as (select id from v) select id from w where id is not null",
        "from visits join names using (id)",
        "from visits left join (select id, count(*) from names group by id) using (id)",
        "select *, (select name from names where names.id = visits.id) from visits",
        "from visits where id in (select id from names)",
        "select id from visits except select id from names",
        "from visits asof join names on visits.id >= names.id",
        "select visits.* from visits, lateral (select max(name) from names where id = visits.id)",
        "from visits join (values (1, 'one')) as words (id, word) using (id)",
        "select count(*) from names",
        "select case when id in (1, 2) then 'few' end from visits",
    ],
)
def test_a_row_that_is_made_of_one(database, sql):
    """Whatever it is joined to that was always known, as names are here."""
    found = plan_of(database, sql)
    assert not found.error
    assert found.operations({"visits", "guests"}) == []


def test_sql_that_has_no_plan_says_why(database):
    found = plan_of(database, "pivot guests on id using sum(size)")
    assert "Cannot plan statement" in found.error
    assert found.syntax == ()


def test_sql_that_is_nested_deeply_is_read(database):
    key = " || '-' || ".join(["coalesce(cast(id as varchar), '')"] * 300)
    found = plan_of(database, f"select md5({key}) as visit_key, now() from visits")
    assert found.unstable() == ["now"]
    assert found.operations({"visits"}) == []
    found = plan_of(database, f"select md5({key}) as visit_key, current_date from visits")
    assert found.unstable() == ["current_date"]
