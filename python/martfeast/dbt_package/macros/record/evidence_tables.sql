{#
  The tables that hold the evidence: what dbt ran, what came of it, and what was published.

  Rows are only ever added, except to `nodes`, which says what the project holds now. Order is by
  `invocation_number`, which counts up by one, and never by the clock: clocks go back.
#}
{% macro create_evidence_tables() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}
    create schema if not exists {{ evidence }};

    create table if not exists {{ evidence }}.warehouse as
    select cast(uuid() as varchar) as warehouse_id;

    create table if not exists {{ evidence }}.invocations (
        invocation_number bigint,
        invocation_id varchar,
        command varchar,
        is_partial boolean,
        is_full_refresh boolean,
        target_name varchar,
        dbt_version varchar,
        selected_nodes varchar[],
        started_at timestamp
    );

    alter table {{ evidence }}.invocations add column if not exists schema_name varchar;

    alter table {{ evidence }}.invocations add column if not exists selected_relations varchar[];

    alter table {{ evidence }}.invocations add column if not exists variables varchar;

    create table if not exists {{ evidence }}.completions (
        invocation_id varchar,
        completed_at timestamp
    );

    create table if not exists {{ evidence }}.results (
        invocation_id varchar,
        node_id varchar,
        resource_type varchar,
        status varchar,
        failure_count bigint,
        row_count bigint,
        message varchar,
        code_checksum varchar,
        materialized varchar,
        tested_node_id varchar,
        loaded_at timestamp,
        started_at timestamp,
        completed_at timestamp,
        execution_seconds double
    );

    alter table {{ evidence }}.results add column if not exists is_window boolean;

    alter table {{ evidence }}.results add column if not exists relations varchar[];

    alter table {{ evidence }}.results add column if not exists compiled_checksum varchar;

    create table if not exists {{ evidence }}.source_loads (
        invocation_id varchar,
        node_id varchar,
        loaded_at timestamp
    );

    create table if not exists {{ evidence }}.verdicts (
        invocation_id varchar,
        node_id varchar,
        is_publishable boolean,
        reasons varchar[],
        warnings varchar[],
        version varchar
    );

    create table if not exists {{ evidence }}.publications (
        node_id varchar,
        mart varchar,
        version varchar,
        release_number bigint,
        invocation_id varchar,
        code_checksum varchar,
        row_count bigint,
        content_hash varchar,
        first_known_at timestamp,
        last_known_at timestamp,
        published_at timestamp
    );

    create table if not exists {{ evidence }}.nodes (
        node_id varchar,
        resource_type varchar,
        name varchar,
        materialized varchar,
        code_checksum varchar,
        severity varchar,
        parents varchar[],
        tested_nodes varchar[],
        owner varchar,
        is_mart boolean,
        waivers varchar[]
    );

    alter table {{ evidence }}.nodes add column if not exists relations varchar[]
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}


{# The schema of the evidence, in the target's database: variable `evidence_schema` of this package. #}
{% macro evidence_schema() %}
  {{ return(adapter.quote(var('evidence_schema', 'martfeast'))) }}
{% endmacro %}


{# A value as an SQL literal: null, text, number, boolean, timestamp or list. #}
{% macro literal(value) %}
  {% if value is none %}
    {{ return('null') }}
  {% elif value is boolean or value is number %}
    {{ return(value | string | lower) }}
  {% elif value is string %}
    {{ return("'" ~ value | replace("'", "''") ~ "'") }}
  {% elif value.strftime is defined %}
    {{ return("timestamp '" ~ martfeast.moment(value) ~ "'") }}
  {% else %}
    {{ return('from_json(' ~ martfeast.literal(tojson(value | list)) ~ ', \'["VARCHAR"]\')') }}
  {% endif %}
{% endmacro %}


{# A moment as text that DuckDB reads as the same one; none stays none. #}
{% macro moment(value) %}
  {{ return(value.strftime('%Y-%m-%d %H:%M:%S.%f') if value.strftime is defined else value) }}
{% endmacro %}


{#
  Insert rows, each a list of values in the table's order. They go as one text of JSON: DuckDB takes far longer to
  read as many literals.
#}
{% macro insert_evidence(table, rows) %}
  {% if rows %}
    {% set sql %}
      select
          column_name,
          data_type
      from duckdb_columns()
      where
          database_name = current_database()
          and schema_name = {{ martfeast.literal(var('evidence_schema', 'martfeast')) }}
          and table_name = {{ martfeast.literal(table) }}
      order by column_index
    {% endset %}
    {% set structure = {} %}
    {% for column in run_query(sql).rows %}
      {% do structure.update({column['column_name']: column['data_type']}) %}
    {% endfor %}
    {% set entries = [] %}
    {% for row in rows %}{% do entries.append(dict(zip(structure, row))) %}{% endfor %}
    {% set sql %}
      insert into {{ martfeast.evidence_schema() }}.{{ table }}
      with inserted as (
          select
              unnest(
                  from_json({{ martfeast.literal(tojson(entries)) }}, {{ martfeast.literal(tojson([structure])) }})
              ) as entry
      )

      select unnest(entry) from inserted
    {% endset %}
    {% do run_query(sql) %}
  {% endif %}
{% endmacro %}
