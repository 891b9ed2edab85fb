{#
  Note what the facts were that the models made by ranges have been built from in this run: for each parent with an
  event time, how many rows each batch of it has, and a hash of them that does not depend on their order. Only batches
  that are other than they were noted last get a row, those whose facts are gone among them; so a row after the first of
  a relation says that facts came, went or changed. One statement for each relation, however many models read it.
#}
{% macro record_fact_batches(results) %}
  {% if martfeast.is_partial_run() %}{{ return(none) }}{% endif %}
  {% set sizes = {} %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' and martfeast.batch_of(node).size %}
    {% for parent in martfeast.fact_parents(node) %}
      {% do sizes.setdefault(parent.relation_name, []).append(martfeast.fact_batch_size(node)) %}
    {% endfor %}
  {% endfor %}
  {% set noted = [] %}
  {% for result in results if martfeast.made_ranges(result) %}
    {% for parent in martfeast.fact_parents(result.node) if parent.relation_name not in noted %}
      {% do noted.append(parent.relation_name) %}
      {% set size = ['hour', 'day', 'month', 'year'] | select('in', sizes[parent.relation_name]) | first %}
      {% do run_query(martfeast.insert_fact_batches(parent, size)) %}
    {% endfor %}
  {% endfor %}
{% endmacro %}


{# The parents of a model that say when their rows happened, and have a relation to read them from. #}
{% macro fact_parents(node) %}
  {% set parents = [] %}
  {% for parent_id in node.depends_on.nodes %}
    {% set parent = graph.nodes.get(parent_id) or graph.sources.get(parent_id) %}
    {% if parent and parent.config.get('event_time') and parent.config.get('materialized') != 'ephemeral' %}
      {% do parents.append(parent) %}
    {% endif %}
  {% endfor %}
  {{ return(parents) }}
{% endmacro %}


{#
  By which batches the facts of a model are noted: its own, or those of its lateness where that is finer: what a run
  makes again then begins within one of its own batches.
#}
{% macro fact_batch_size(node) %}
  {% set batch = martfeast.batch_of(node) %}
  {% set lateness = batch.lateness | string | lower %}
  {% set is_whole_days = 'hour' not in lateness and 'minute' not in lateness and '.' not in lateness %}
  {% if batch.size == 'hour' or not is_whole_days %}{{ return('hour') }}{% endif %}
  {{ return(batch.size if 'day' not in lateness and 'week' not in lateness else 'day') }}
{% endmacro %}


{#
  The statement that adds the batches of a parent whose facts are others than were noted last. The basis is what a hash
  depends on besides the facts: one of other columns, or of another version of the engine, is compared with nothing.
#}
{% macro insert_fact_batches(parent, size) %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set described = [] %}
  {% set hashed = [] %}
  {# Not by dbt's own get_columns_in_relation, which leaves a transaction open. #}
  {% set load_times = martfeast.load_times() %}
  {% for column in run_query('describe select * from ' ~ parent.relation_name).rows | sort(attribute='0')
    if column[0] | lower not in load_times
  %}
    {% do described.append(column[0] ~ ' ' ~ column[1]) %}
    {% do hashed.append(martfeast.hashable(adapter.quote(column[0]), column[1])) %}
  {% endfor %}
  {% set relation = martfeast.literal(martfeast.read_relation(parent)) %}
  {% set moment = martfeast.as_moment(adapter.quote(parent.config.event_time)) %}
  {% set text = martfeast.evidence_type('text') %}
  {% set since = martfeast.facts_made_since(parent) %}
  {% set since = "date_trunc('" ~ size ~ "', timestamp " ~ martfeast.literal(since) ~ ')' if since else none %}
  {% set sql %}
    insert into {{ evidence }}.fact_batches
    with hashed as (
        select
            date_trunc('{{ size }}', {{ moment }}) as batch_start,
            {{ martfeast.row_hash(hashed) }} as row_hash
        from {{ parent.relation_name }}
        {% if since %}where {{ moment }} >= {{ since }}{% endif %}
    ),

    present as (
        select
            batch_start,
            count(*) as row_count,
            cast(sum(row_hash) as {{ text }}) as content_hash
        from hashed
        where batch_start is not null
        group by batch_start
    ),

    basis as (
        select md5(concat(version(), {{ martfeast.literal(' ' ~ described | join(', ')) }})) as basis
    ),

    noted as (
        select
            fact_batches.batch_start,
            max_by(fact_batches.row_count, invocations.invocation_number) as row_count,
            max_by(fact_batches.content_hash, invocations.invocation_number) as content_hash
        from {{ evidence }}.fact_batches
        inner join {{ evidence }}.invocations on fact_batches.invocation_id = invocations.invocation_id
        inner join basis on fact_batches.basis = basis.basis
        where
            fact_batches.relation = {{ relation }}
            and fact_batches.batch_size = {{ martfeast.literal(size) }}
            {% if since %}and fact_batches.batch_start >= {{ since }}{% endif %}
        group by fact_batches.batch_start
    )

    select
        {{ martfeast.literal(invocation_id) }} as invocation_id,
        {{ martfeast.literal(parent.unique_id) }} as node_id,
        {{ relation }} as relation,
        {{ martfeast.literal(size) }} as batch_size,
        coalesce(present.batch_start, noted.batch_start) as batch_start,
        coalesce(present.row_count, 0) as row_count,
        coalesce(present.content_hash, '0') as content_hash,
        basis.basis
    from present
    full join noted on present.batch_start = noted.batch_start
    cross join basis
    where
        coalesce(present.row_count, 0) <> coalesce(noted.row_count, 0)
        or coalesce(present.content_hash, '0') <> coalesce(noted.content_hash, '0')
  {% endset %}
  {{ return(sql) }}
{% endmacro %}


{# Columns that say when a row was loaded, by what the project says of its sources, in lower case: they are no facts. #}
{% macro load_times() %}
  {% set columns = [] %}
  {% for source in graph.sources.values() if source.loaded_at_field %}
    {% do columns.append(source.loaded_at_field | lower) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}


{#
  From when on the rows of a relation may be others than when its facts were noted last: text of a moment, none where all
  may be. It is so of a parent that is itself made by ranges, whose other rows no run has touched.
#}
{% macro facts_made_since(parent) %}
  {% if
    parent.resource_type != 'model' or parent.config.incremental_strategy != 'replace_range'
    or not martfeast.batch_of(parent).size
    or martfeast.event_time_of(parent) != adapter.quote(parent.config.event_time)
  %}
    {{ return(none) }}
  {% endif %}
  {% set noted %}
    (
        select max(invocations.invocation_number)
        from {{ martfeast.evidence_schema() }}.fact_batches
        inner join {{ martfeast.evidence_schema() }}.invocations
            on fact_batches.invocation_id = invocations.invocation_id
        where fact_batches.relation = {{ martfeast.literal(martfeast.read_relation(parent)) }}
    )
  {% endset %}
  {{ return(martfeast.made_since(parent, noted)) }}
{% endmacro %}


{#
  How far before a row the windows of a model reach, seconds; 0 without windows. Those of windowed_features have left a
  note; of others it is the longest `interval ... preceding` in the SQL, and a second, as they are closed at both ends.
#}
{% macro look_back_seconds(node) %}
  {% set units = {
    'second': 1, 'minute': 60, 'hour': 3600, 'day': 86400, 'week': 604800,
    'month': 31 * 86400, 'quarter': 92 * 86400, 'year': 366 * 86400
  } %}
  {% set pattern = "interval[\\s('\"]*(\\d+)[\\s)'\"]*(" ~ units | join('|') ~ ")s?[\\s)'\"]*preceding" %}
  {% set reaches = [graph.nodes[node.unique_id].get('martfeast_look_back_seconds', 0)] %}
  {% for count, unit in modules.re.findall(pattern, (node.compiled_code or node.raw_code) | lower) %}
    {% do reaches.append((count | int) * units[unit] + 1) %}
  {% endfor %}
  {{ return(reaches | max) }}
{% endmacro %}
