{#
  What a generic test reads, dbt's own hook for it: with the variable `test_all_rows_every` (such as '7 days'), a test of a
  model that is made by ranges reads the rows that were made since it passed, and all rows again when that long has gone
  by. dbt finds this where dbt_project.yml has `dispatch`, see docs/time.md. Everything else is as in dbt.
#}
{% macro duckdb__get_where_subquery(relation) %}
  {#- As the graph has it, the test is what evidence was recorded of. -#}
  {% set test = graph.nodes.get(model.unique_id) if execute else none %}
  {% set since = martfeast.untested_since(test, relation) if test else none %}
  {% if not since %}{{ return(dbt.default__get_where_subquery(relation)) }}{% endif %}
  {% set where = config.get('where') %}
  {% set event_time = martfeast.event_time_of(graph.nodes[test.attached_node]) %}
  {% set keys = martfeast.tested_keys(test) %}
  {% set made %}made.{{ event_time }} >= {{ martfeast.since_mark(since) }}{% endset %}
  {% set filtered %}
    (
        select made.* from {{ relation }} as made
        where
        {% if keys and event_time not in keys %}
            exists (
                select 1 from {{ relation }} as one
                where
                    one.{{ made | replace('made.', '') }}
                    {% for key in keys %}and one.{{ key }} is not distinct from made.{{ key }}{% endfor %}
            )
        {% else %}
            {{ made }}
        {% endif %}
        {% if where %}and ({{ where }}){% endif %}
    ) as dbt_subquery
  {% endset %}
  {{ return(filtered) }}
{% endmacro %}


{# A moment as the SQL of a test has it from which on it reads rows; what a test read is found by this in its SQL. #}
{% macro since_mark(moment) %}
  {{ return('cast(' ~ martfeast.literal(moment) ~ ' as timestamp) /* martfeast: rows made since it passed */') }}
{% endmacro %}


{# From where on a test read rows, by the SQL that was run: text of a moment, none for all rows. #}
{% macro tested_from(compiled_code) %}
  {% set mark = modules.re.escape(martfeast.since_mark('MOMENT')) | replace('MOMENT', '([0-9 :.-]+)') %}
  {% set found = modules.re.search(mark, compiled_code or '') %}
  {{ return(found.group(1) if found else none) }}
{% endmacro %}


{#
  The columns that a test says are unique together, quoted. Rows that share them with a row that was made are read too,
  so that what they show of the rows is the same as of all rows. None for a test that is not of that kind.
#}
{% macro tested_keys(test) %}
  {% set metadata = test.test_metadata %}
  {% if metadata.name == 'unique' and not metadata.namespace %}
    {{ return(martfeast.quoted_columns([metadata.kwargs.column_name])) }}
  {% elif metadata.name == 'unique_grain' and metadata.namespace == 'martfeast' %}
    {{ return(martfeast.quoted_columns(metadata.kwargs['columns'])) }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}


{# Whether a test judges each row by itself, or rows by their keys: one that looks at all rows together sees other numbers in a part of them. #}
{% macro judges_rows(test) %}
  {% set metadata = test.test_metadata or {} %}
  {% set is_dbts = metadata.name in ['not_null', 'accepted_values', 'relationships'] and not metadata.namespace %}
  {% set meta = (test.config.meta or {}).get('martfeast') %}
  {{ return(is_dbts or martfeast.tested_keys(test) is not none or (meta is mapping and meta.get('judges') == 'each row')) }}
{% endmacro %}


{#
  The moment from which on rows of a tested model were made and not yet seen by a pass of this test: text. None where it
  is to read all rows: without a pass that counts (note_passes); after all rows were made anew, or a run that was to make
  them was cut off; and where no rows were made. Asked for once for all tests of a model that passed at the same time.
#}
{% macro untested_since(test, relation) %}
  {% set node = graph.nodes.get(test.attached_node) %}
  {% set passed = test.get('martfeast_passed') %}
  {% if not passed or not node or martfeast.is_partial_run() or relation | string != node.relation_name %}
    {{ return(none) }}
  {% endif %}
  {% set known = 'martfeast_made_since_' ~ passed %}
  {% if known not in node %}
    {% do node.update({known: martfeast.made_since(node, passed)}) %}
  {% endif %}
  {{ return(node[known]) }}
{% endmacro %}


{#
  Note of each test that may read a part of the rows the number of the invocation in which it passed last, for this run:
  one in which all that came before it was read, by passes that add up. So it is where the newest result on all rows is a
  pass, not longer ago than test_all_rows_every says. Results count that are of the present code, on the relations
  that the test reads now and on all of their data.
#}
{% macro note_passes() %}
  {% if not martfeast.test_all_rows_every() or flags.WHICH not in ['build', 'test'] %}{{ return(none) }}{% endif %}
  {% set asked = [] %}
  {% set known = {} %}
  {% for test in graph.nodes.values() if test.resource_type == 'test' and test.attached_node in graph.nodes %}
    {% set node = graph.nodes[test.attached_node] %}
    {% set is_by_ranges = martfeast.batch_of(node).size and node.config.incremental_strategy == 'replace_range' %}
    {% if is_by_ranges and martfeast.judges_rows(test) %}
      {% do asked.append({
        'test_id': test.unique_id,
        'checksum': martfeast.code_checksum(test, known),
        'relations': martfeast.relations_of(test, {})
      }) %}
    {% endif %}
  {% endfor %}
  {% if not asked %}{{ return(none) }}{% endif %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}
    with asked as (
        select unnest(
            from_json(
                {{ martfeast.literal(tojson(asked)) }},
                '[{"test_id": "VARCHAR", "checksum": "VARCHAR", "relations": ["VARCHAR"]}]'
            ),
            recursive := true
        )
    ),

    results as (
        select
            results.node_id,
            results.status,
            results.tested_from,
            results.completed_at,
            invocations.invocation_number
        from {{ evidence }}.results
        inner join {{ evidence }}.invocations on results.invocation_id = invocations.invocation_id
        inner join asked
            on
                results.node_id = asked.test_id
                and results.code_checksum = asked.checksum
                and results.relations = asked.relations
        where
            invocations.target_name = {{ martfeast.literal(target.name) }}
            and not invocations.is_partial
    ),

    whole as (
        select
            node_id,
            max(invocation_number) as invocation_number
        from results
        where tested_from is null
        group by node_id
        having
            max_by(status, invocation_number) = 'pass'
            and max_by(completed_at, invocation_number) > {{ martfeast.all_rows_due() }}
    )

    select
        results.node_id,
        max(results.invocation_number) as invocation_number
    from results
    inner join whole on results.node_id = whole.node_id
    where
        results.status = 'pass'
        and results.invocation_number >= whole.invocation_number
    group by results.node_id
  {% endset %}
  {% for row in run_query(sql).rows %}
    {% do graph.nodes[row['node_id']].update({'martfeast_passed': row['invocation_number'] | int}) %}
  {% endfor %}
{% endmacro %}


{# How often a test is to read all rows: variable `test_all_rows_every` of this package; none for always. #}
{% macro test_all_rows_every() %}
  {% set source = graph.sources.get('source.martfeast.martfeast.results') if execute else none %}
  {% set every = source.config.meta.test_all_rows_every if source else none %}
  {{ return(none if every in [none, 'None', ''] else every) }}
{% endmacro %}


{# The moment before which a pass on all rows is too long ago: SQL; of all rows that are always read, the end of time. #}
{% macro all_rows_due() %}
  {% set every = martfeast.test_all_rows_every() %}
  {% if not every %}{{ return("timestamp 'infinity'") }}{% endif %}
  {{ return(martfeast.literal(run_started_at) ~ ' - interval ' ~ martfeast.literal(every)) }}
{% endmacro %}


{#
  The first moment of the ranges of a model that were made after an invocation: text; none where all rows may have been
  made, or none were. after: SQL of the invocation's number.
#}
{% macro made_since(node, after) %}
  {% set sql %}
    with made as ({{ martfeast.ranges_made_of(node) }})

    select min(made.range_start) as since
    from made
    where made.invocation_number > {{ after }}
    having count(*) = count(made.range_start)
  {% endset %}
  {% set found = run_query(sql).rows %}
  {{ return(martfeast.moment(found[0][0]) if found and found[0][0] is not none else none) }}
{% endmacro %}


{#
  Ranges of a model that were made, from the notes of the strategy: SQL of a row for each, its start null where all rows
  may have been made. That is so of a run that noted none, among them this one and those that were cut off.
#}
{% macro ranges_made_of(node) %}
  {% set evidence = martfeast.evidence_schema() %}
    select
        invocations.invocation_number,
        ranges.range_start
    from {{ evidence }}.invocations
    left join {{ evidence }}.ranges
        on
            invocations.invocation_id = ranges.invocation_id
            and ranges.node_id = {{ martfeast.literal(node.unique_id) }}
    where
        list_contains(invocations.selected_nodes, {{ martfeast.literal(node.unique_id) }})
        or ranges.node_id is not null
{% endmacro %}
