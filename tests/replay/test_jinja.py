"""Jinja: what it reads of clocks and of the database, by whatever name, and what only looks so."""

import pytest
from martfeast.replay.jinja import (
    BY_BUILD,
    CLOCK,
    QUERY,
    UNREAD,
    jinja_reads,
    names_used,
    taken_whole,
)


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("{{ run_started_at }}", CLOCK, "run_started_at"),
        ("{{ run_started_at.strftime('%Y') }}", CLOCK, "run_started_at"),
        ("{% set moment = run_started_at %}", CLOCK, "run_started_at"),
        ("{{ context['run_started_at'] }}", CLOCK, "run_started_at"),
        ("{{ context.get('run_started_at') }}", CLOCK, "run_started_at"),
        ("{{ context['run_' ~ 'started_at'] }}", CLOCK, "run_started_at"),
        ("{{ invocation_id }}", CLOCK, "invocation_id"),
        ("{{ modules.datetime.datetime.now() }}", CLOCK, "modules.datetime"),
        ("{{ modules['datetime'].date.today() }}", CLOCK, "modules.datetime"),
        ("{% set m = modules %}{{ m.datetime.datetime.now() }}", CLOCK, "modules"),
        ("{% set d = modules.datetime.datetime %}{{ d.utcnow() }}", CLOCK, "modules.datetime"),
        ("{{ (modules.datetime.datetime | attr('now'))() }}", CLOCK, "modules.datetime"),
        ("{{ modules.datetime.datetime['now']() }}", CLOCK, "modules.datetime"),
        ("{{ [1, 2] | random }}", CLOCK, "random"),
        ("{{ run_query('select 1') }}", QUERY, "run_query"),
        ("{% set ask = run_query %}", QUERY, "run_query"),
        ("{{ dbt.run_query('select 1') }}", QUERY, "run_query"),
        ("{% call statement('x', fetch_result=true) %}select 1{% endcall %}", QUERY, "statement"),
        ("{{ load_result('x') }}", QUERY, "load_result"),
        ("{{ adapter.execute('select 1') }}", QUERY, "adapter.execute"),
        ("{{ adapter['execute']('select 1') }}", QUERY, "adapter.execute"),
        ("{{ (adapter | attr('execute'))('select 1') }}", QUERY, "adapter"),
        ("{% set database = adapter %}", QUERY, "adapter"),
        ("{% set adapter = adapter %}{{ adapter.dispatch('x') }}", QUERY, "adapter"),
        ("{{ adapter.get_relation('a', 'b', 'c') }}", QUERY, "adapter.get_relation"),
        ("{{ context[name] }}", UNREAD, "context"),
        ("{% set all = context %}", UNREAD, "context"),
        ("{{ builtins[name] }}", UNREAD, "builtins"),
        ("{% if flags.FULL_REFRESH %}x{% endif %}", BY_BUILD, "flags.FULL_REFRESH"),
        ("{{ invocation_args_dict }}", BY_BUILD, "invocation_args_dict"),
        ("{% if x %}", UNREAD, "Unexpected end of template"),
        ("{{ x | shuffle }}", UNREAD, "No filter named 'shuffle'"),
        ("{{ " + "1 + " * 2000 + "1 }}", UNREAD, None),
        ("{{ thread_id }}", CLOCK, "thread_id"),
        ("{{ lipsum(n=1) }}", CLOCK, "lipsum"),
        ("{{ model.created_at }}", CLOCK, "model"),
        ("{{ (graph.nodes.values() | list)[0].created_at }}", CLOCK, "graph"),
        ("{{ config.model.created_at }}", UNREAD, "config.model"),
        ("{{ ref.manifest.metadata.generated_at }}", UNREAD, "ref.manifest"),
        ("{{ ref.db_wrapper.execute('select 1') }}", UNREAD, "ref.db_wrapper"),
        ("{% set r = ref %}{{ r.manifest }}", UNREAD, "ref"),
        ("{{ source.config.args }}", UNREAD, "source.config"),
        ("{{ render('{{ run_started_at }}') }}", UNREAD, "render"),
        ("{{ load_relation(this) is none }}", QUERY, "load_relation"),
        ("{{ selected_resources }}", BY_BUILD, "selected_resources"),
    ],
)
def test_what_makes_the_sql_of_a_build_another(text, rule, words):
    found = jinja_reads(text, [])
    assert (rule, words) in [(read.rule, words and read.words) for read in found]
    # A macro that the model calls is read as the model is.
    (called, *_) = jinja_reads("select 1", [f"{{% macro m(name) %}}{text}{{% endmacro %}}"])
    assert called.rule == rule
    assert called.line == 1


@pytest.mark.parametrize(
    "text",
    [
        "select '{{ var(\"run_started_at\") }}' -- run_query",
        "{# run_started_at #} {{ config(meta={'run_query': true}) }}",
        "{% raw %}{{ run_started_at }}{% endraw %}",
        "{% set run_started_at = 3 %}{{ run_started_at }}",
        "{% macro m(adapter, modules) %}{{ adapter.execute }}{{ modules }}{% endmacro %}",
        "{% for adapter in [1] %}{{ adapter }}{% endfor %}",
        "{{ adapter.dispatch('m', 'package')() }}",
        "{{ adapter.quote('x') }} {{ adapter.get_columns_in_relation(ref('x')) }}",
        "{{ modules.re.match('a', 'b') }} {{ modules.itertools.chain([1]) }}",
        "{{ modules.datetime.timedelta(days=1) }} {{ modules.pytz.utc }}",
        "{{ modules.datetime.datetime.strptime(var('first_day'), '%Y-%m-%d') }}",
        "{{ row.now }} {{ row['run_query'] }} {{ relation.statement }}",
        "{{ dbt.dateadd('day', 1, 'at') }} {{ target.name }} {{ env_var('X') }}",
        "{{ context['ref']('x') }}",
        "{{ log('built at ' ~ run_started_at) }}{% do log(invocation_id, info=true) %}",
        "{{ config.get('x') }}{{ config(x=1) }}{{ var.has_var('x') }}{{ source('a', 'b') }}",
        "{{ model.name }}{% for node in graph.nodes.values() %}{{ node.name }}{% endfor %}",
        "{{ adapter.quote_as_configured('x', 'identifier') }}",
    ],
)
def test_what_only_looks_so(text):
    assert jinja_reads(text, [text]) == []


def test_a_clock_is_read_where_it_is_handed_to_a_macro():
    macro = "{% macro day_of(kind) %}{{ kind.today() }}{% endmacro %}"
    (found,) = jinja_reads("\n{{ day_of(modules.datetime.date) }}", [macro])
    assert (found.rule, found.words, found.line) == (CLOCK, "modules.datetime", 2)


def test_names_of_macros_are_found_however_they_are_taken():
    text = (
        "{% set a = one %}{{ a() }}{% set b = [two] %}{{ pack['three']() }}{{ pack.four() }}"
        "{{ context['five']() }}{{ six(seven) }}{% call eight() %}{% endcall %}"
    )
    assert names_used(text) >= {"one", "two", "three", "four", "five", "six", "seven", "eight"}
    assert "pack" not in taken_whole(text)
    assert "pack" in taken_whole("{{ pack[name]() }}")
    assert "pack" in taken_whole("{% set p = pack %}")
