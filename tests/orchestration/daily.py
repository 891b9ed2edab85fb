"""A project that orchestrators run: the library, with a mart by ranges, a schedule, a source."""

from conftest import Library

TITLES, ACTIVITY, LABELS = "title_availability", "member_activity_daily", "loan_labels"
SQL, SEED = f"models/marts/{TITLES}.sql", "seeds/shelf_checks.csv"
MARTS = "models/marts/_marts__models.yml"
HEAD = "branch_code,title_id,known_at,copies_free,waiting_days,shelf_mark\n"
STRATEGY = (
    "{% macro get_incremental_replace_range_sql(arguments) %}"
    "{{ return(martfeast.replace_range_sql(arguments)) }}{% endmacro %}\n"
)
CONFIG = (
    "{{ config(materialized='incremental', incremental_strategy='replace_range',"
    " on_schema_change='fail') }}\n"
)
RANGE = "\nwhere {{ martfeast.in_increment('known_at') }}\n"
TIME = """          online: true
          start: 2026-03-01
          schedule: "30 6 * * *"
          batch: {size: day, lateness: 2 days}
          restatement: {expected: Shelves are counted again.}
"""
SOURCE = """sources:
  - name: shelves
    tables:
      - name: visits
        description: Visits, as the doors count them.
        config:
          loaded_at_field: counted_at
          freshness: {error_after: {count: 36, period: hour}}
"""
SHARES = """{{ config(severity='warn') }}
select * from {{ ref('member_activity_daily') }} as activity
inner join {{ ref('loan_labels') }} as labels on activity.member_id = labels.member_id
where activity.loan_count_30d < 0
"""
UNIT_TEST = """
unit_tests:
  - name: genres_are_split
    model: member_activity_daily
    given:
      - input: ref('member_days')
        rows: [{member_id: 1, favourite_genres: a|b}]
    expect:
      rows: [{member_id: 1, favourite_genres: [a, b]}]
"""


def seed_of(days, copies=1):
    """The shelf checks of some days of March, of two titles."""
    lines = [
        f"north,{title},2026-03-{day:02} 08:00:00,{copies},0.5,N"
        for day in days
        for title in (10, 11)
    ]
    return HEAD + "\n".join(lines) + "\n"


def make_daily(library: Library) -> None:
    """Change a copy of the library: titles by days, with a schedule; tests of all kinds."""
    path = library.path
    (path / "macros").mkdir(exist_ok=True)
    (path / "macros/strategy.sql").write_text(STRATEGY)
    (path / SQL).write_text(CONFIG + (path / SQL).read_text() + RANGE)
    (path / SEED).write_text(seed_of(range(1, 13)))
    library.replace_in(MARTS, "          online: true\n", TIME)
    (path / "models/staging/_shelves__sources.yml").write_text(SOURCE)
    (path / "tests/no_negative_loans.sql").write_text(SHARES)
    with (path / MARTS).open("a") as file:
        file.write(UNIT_TEST)
