{# Stop a run before it changes anything, if a newer martfeast has written what is published. #}
{% macro require_known_format() %}
  {% do adapter.dispatch('require_known_format', 'martfeast')() %}
{% endmacro %}

{% macro default__require_known_format() %}
{% endmacro %}

{% macro duckdb__require_known_format() %}
  {% if not martfeast.published_path() %}{{ return(none) }}{% endif %}
  {% set file = martfeast.published_folder() ~ '/current.json' %}
  {% set sql %}
    select file from glob({{ martfeast.glob_literal(file, '') }})
  {% endset %}
  {% if run_query(sql).rows %}
    {% set sql %}
      with formats as (
          select try_cast(try(decode(content)) as json) ->> '$.format' as format
          from read_blob({{ martfeast.glob_literal(file, '') }})
      )

      select format from formats
      where try_cast(format as bigint) > {{ martfeast.release_format() }}
    {% endset %}
    {% for newer in run_query(sql).rows %}
      {{ exceptions.raise_compiler_error(
        file ~ ' has format ' ~ newer['format'] ~ ', of a newer martfeast; this one reads '
        ~ martfeast.release_format() ~ '. Nothing was changed. Install the newer one, then run dbt deps.'
      ) }}
    {% endfor %}
  {% endif %}
{% endmacro %}


{#
  Publish at the end of a run, where dbt's connection can judge and write files; elsewhere note how new the sources
  are, and say how to publish what is recorded.
#}
{% macro publish_at_the_end(results) %}
  {% do adapter.dispatch('publish_at_the_end', 'martfeast')(results) %}
{% endmacro %}

{% macro duckdb__publish_at_the_end(results) %}
  {% do martfeast.publish_to(martfeast.published_folder(), martfeast.published_path(), results) %}
{% endmacro %}

{% macro default__publish_at_the_end(results) %}
  {% do martfeast.record_source_loads(results) %}
  {% do log(
    'martfeast: what ran is recorded. Next: martfeast publish --target ' ~ target.name
    ~ ', which judges the marts and publishes those that may be', info=true
  ) %}
{% endmacro %}


{#
  `martfeast publish`, as an operation in a DuckDB in memory: publish marts of another engine by the evidence that is
  recorded there.
#}
{% macro publish_recorded() %}
  {% do martfeast.require_known_format() %}
  {% do martfeast.publish_to(martfeast.published_folder(), martfeast.published_path(), none) %}
{% endmacro %}


{#
  The engine whose marts are published from this connection, if it is not the connection's own: its name, its location,
  and a folder for what is fetched. `martfeast publish` sets this variable, and two SQL functions beside it:
  martfeast_export writes rows of the engine to Parquet, and martfeast_append adds rows of Parquet to a table there.
#}
{% macro other_engine() %}
  {{ return(var('martfeast_engine', none)) }}
{% endmacro %}


{# The name of the engine that built the marts. #}
{% macro engine_name() %}
  {{ return((martfeast.other_engine() or {}).get('name') or target.type) }}
{% endmacro %}


{# The SQL of a mart's rows: of its relation, or of what was exported of it. #}
{% macro rows_of(mart) %}
  {% if martfeast.other_engine() %}
    {% set path = martfeast.published_folder() ~ '/' ~ martfeast.version_path(mart) %}
    {{ return('read_parquet(' ~ martfeast.glob_literal(path, '/*.parquet') ~ ', hive_partitioning = false)') }}
  {% endif %}
  {{ return(mart.relation_name) }}
{% endmacro %}


{# Take over the evidence of the other engine, and note this command in it. #}
{% macro fetch_evidence() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% do martfeast.create_evidence_tables() %}
  {% do martfeast.fetch_table('warehouse', ['warehouse_id']) %}
  {% for table, columns in martfeast.evidence_structure().items() %}
    {% do martfeast.fetch_table(table, columns | list) %}
  {% endfor %}
  {% set sql %}
    select invocation_number from {{ evidence }}.invocations
    group by invocation_number
    having count(*) > 1
  {% endset %}
  {% if run_query(sql).rows %}
    {{ exceptions.raise_compiler_error(
      'two dbt runs began at once, and nothing tells which of them was the later. Run dbt build again, alone.'
    ) }}
  {% endif %}
  {% set sql %}
    select coalesce(max(invocation_number), 0) + 1 as next_number from {{ evidence }}.invocations
  {% endset %}
  {% set number = run_query(sql).rows[0]['next_number'] | int %}
  {% set began = martfeast.moment(run_started_at) %}
  {% do martfeast.insert_evidence('invocations', [[
    number, invocation_id, 'publish', false, false, target.name, dbt_version, [], began, target.schema, [], '{}'
  ]]) %}
  {% do martfeast.insert_evidence('completions', [[invocation_id, began]]) %}
{% endmacro %}


{# Fill a table of the evidence with the rows that the other engine has. #}
{% macro fetch_table(table, columns) %}
  {% set path = martfeast.other_engine()['folder'] ~ '/' ~ table ~ '.parquet' %}
  {% do martfeast.export_rows({'table': table, 'columns': columns, 'path': path}) %}
  {% set relation = martfeast.evidence_schema() ~ '.' ~ table %}
  {% do run_query('delete from ' ~ relation) %}
  {% do run_query(
    'insert into ' ~ relation ~ ' select ' ~ columns | join(', ')
    ~ ' from read_parquet(' ~ martfeast.glob_literal(path, '/*.parquet') ~ ')'
  ) %}
{% endmacro %}


{# Let the other engine write rows to Parquet. request: what the function martfeast_export takes. #}
{% macro export_rows(request) %}
  {% do run_query('select martfeast_export(' ~ martfeast.literal(tojson(request)) ~ ')') %}
{% endmacro %}


{# Let the other engine write a mart's rows to where its next version is to be, sorted as every version is. #}
{% macro export_mart(mart) %}
  {% set sql %}
    select relations[1] as relation_name from {{ martfeast.evidence_schema() }}.nodes
    where node_id = {{ martfeast.literal(mart.unique_id) }}
  {% endset %}
  {% do martfeast.export_rows({
    'relation': run_query(sql).rows[0]['relation_name'],
    'columns': mart.columns.values() | map(attribute='name') | list if mart.config.contract.enforced else [],
    'order': martfeast.sort_names(mart),
    'published_at': martfeast.moment(run_started_at),
    'path': martfeast.published_folder() ~ '/' ~ martfeast.version_path(mart)
  }) %}
{% endmacro %}


{# Stop where a dbt run has begun since the evidence was fetched: what was exported may be what it is building. #}
{% macro require_evidence_as_fetched() %}
  {% set path = martfeast.other_engine()['folder'] ~ '/invocations_now.parquet' %}
  {% do martfeast.export_rows({'table': 'invocations', 'columns': ['invocation_id'], 'path': path}) %}
  {% set sql %}
    select invocation_id from read_parquet({{ martfeast.glob_literal(path, '/*.parquet') }})
    where invocation_id not in (select invocations.invocation_id from {{ martfeast.evidence_schema() }}.invocations)
  {% endset %}
  {% if run_query(sql).rows %}
    {{ exceptions.raise_compiler_error(
      'a dbt run began while the marts were exported, and they may be of it. Run martfeast publish when it has ended.'
    ) }}
  {% endif %}
{% endmacro %}


{# Add to the evidence of the other engine what this command has noted. #}
{% macro return_evidence() %}
  {% set folder = martfeast.other_engine()['folder'] %}
  {% for table in ['invocations', 'completions', 'verdicts', 'publications'] %}
    {% set path = folder ~ '/new_' ~ table ~ '.parquet' %}
    {% set sql %}
      copy (
          select * from {{ martfeast.evidence_schema() }}.{{ table }}

          except

          select * from read_parquet({{ martfeast.glob_literal(folder ~ '/' ~ table ~ '.parquet', '/*.parquet') }})
      ) to {{ martfeast.literal(path) }} (format parquet)
    {% endset %}
    {% do run_query(sql) %}
    {% set request = {'table': table, 'path': path} %}
    {% do run_query('select martfeast_append(' ~ martfeast.literal(tojson(request)) ~ ')') %}
  {% endfor %}
{% endmacro %}
