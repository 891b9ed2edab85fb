{# Stop a run before it changes anything, where the engine would give other values than the models mean. #}
{% macro require_engine() %}
  {% do adapter.dispatch('require_engine', 'martfeast')() %}
{% endmacro %}

{% macro default__require_engine() %}
{% endmacro %}

{% macro spark__require_engine() %}
  {% set zone = run_query('select current_timezone() as zone').rows[0]['zone'] %}
  {% if zone not in ['UTC', 'Etc/UTC', 'GMT', 'Z', '+00:00'] %}
    {{ exceptions.raise_compiler_error(
      'The time zone of the Spark session is ' ~ zone ~ ', and its clock would get into every moment. Nothing was '
      ~ 'changed. Set spark.sql.session.timeZone: UTC in server_side_parameters of profiles.yml.'
    ) }}
  {% endif %}
  {% if 'cast((1 + 1) as int)' not in dbt.dateadd('minute', '1 + 1', 'known_at') %}
    {{ exceptions.raise_compiler_error(
      'dbt.dateadd is that of dbt-spark, which is wrong of sums, and dbt.datediff too. Nothing was changed. Write in '
      ~ 'dbt_project.yml: dispatch: [{macro_namespace: dbt, search_order: [' ~ project_name ~ ', martfeast, dbt]}]'
    ) }}
  {% endif %}
  {% do martfeast.require_batch_partitions() %}
{% endmacro %}


{# Whether an engine keeps evidence of what dbt ran: those for which all of this folder is written do. #}
{% macro keeps_evidence() %}
  {{ return(adapter.dispatch('keeps_evidence', 'martfeast')()) }}
{% endmacro %}

{% macro default__keeps_evidence() %}
  {{ return(false) }}
{% endmacro %}

{% macro duckdb__keeps_evidence() %}
  {{ return(true) }}
{% endmacro %}

{% macro spark__keeps_evidence() %}
  {{ return(true) }}
{% endmacro %}


{# Make the schema and the tables that hold the evidence, where they are missing, and add columns that are new. #}
{% macro create_evidence_tables() %}
  {% do adapter.dispatch('create_evidence_tables', 'martfeast')() %}
{% endmacro %}

{% macro duckdb__create_evidence_tables() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% set sql %}
    create schema if not exists {{ evidence }};

    {% for table, columns in martfeast.evidence_structure().items() %}
    create table if not exists {{ evidence }}.{{ table }} (
        {% for column, kind in columns.items() %}
        {{ column }} {{ martfeast.evidence_type(kind) }}{{ ',' if not loop.last }}
        {% endfor %}
    );

    {% for column, kind in columns.items() %}
    alter table {{ evidence }}.{{ table }} add column if not exists {{ column }} {{ martfeast.evidence_type(kind) }};
    {% endfor %}
    {% endfor %}

    create table if not exists {{ evidence }}.warehouse as
    select cast(uuid() as varchar) as warehouse_id
  {% endset %}
  {% do run_query(sql) %}
{% endmacro %}

{% macro spark__create_evidence_tables() %}
  {% set evidence = martfeast.evidence_schema() %}
  {% do run_query('create schema if not exists ' ~ evidence) %}
  {% set there = run_query('show tables in ' ~ evidence).columns['tableName'].values() | list %}
  {% if 'warehouse' not in there %}
    {% do run_query('create table ' ~ evidence ~ '.warehouse using parquet as select uuid() as warehouse_id') %}
  {% endif %}
  {% for table, columns in martfeast.evidence_structure().items() if table in there %}
    {% set found = run_query('describe table ' ~ evidence ~ '.' ~ table).columns['col_name'].values() | list %}
    {% for column, kind in columns.items() if column not in found %}
      {% do run_query(
        'alter table ' ~ evidence ~ '.' ~ table ~ ' add columns (' ~ column ~ ' ' ~ martfeast.evidence_type(kind) ~ ')'
      ) %}
    {% endfor %}
  {% endfor %}
  {% for table, columns in martfeast.evidence_structure().items() if table not in there %}
    {% set sql %}
      create table {{ evidence }}.{{ table }} (
          {% for column, kind in columns.items() %}
          {{ column }} {{ martfeast.evidence_type(kind) }}{{ ',' if not loop.last }}
          {% endfor %}
      ) using parquet
    {% endset %}
    {% do run_query(sql) %}
  {% endfor %}
{% endmacro %}


{# The engine's type of a column of the evidence. #}
{% macro evidence_type(kind) %}
  {{ return(adapter.dispatch('evidence_type', 'martfeast')(kind)) }}
{% endmacro %}

{% macro duckdb__evidence_type(kind) %}
  {{ return({'text': 'varchar', 'texts': 'varchar[]', 'integer': 'bigint'}.get(kind, kind)) }}
{% endmacro %}

{% macro spark__evidence_type(kind) %}
  {{ return({'text': 'string', 'texts': 'array<string>', 'integer': 'bigint'}.get(kind, kind)) }}
{% endmacro %}


{# The statement that inserts rows, given as JSON, into a table of the evidence. #}
{% macro insert_json(table, columns, entries) %}
  {{ return(adapter.dispatch('insert_json', 'martfeast')(table, columns, entries)) }}
{% endmacro %}

{% macro duckdb__insert_json(table, columns, entries) %}
  {% set structure = {} %}
  {% for column, kind in columns.items() %}{% do structure.update({column: martfeast.evidence_type(kind)}) %}{% endfor %}
  {% set sql %}
    insert into {{ martfeast.evidence_schema() }}.{{ table }}
    with inserted as (
        select
            unnest(
                from_json({{ martfeast.literal(entries) }}, {{ martfeast.literal(tojson([structure])) }})
            ) as entry
    )

    select unnest(entry) from inserted
  {% endset %}
  {{ return(sql) }}
{% endmacro %}

{% macro spark__insert_json(table, columns, entries) %}
  {% set structure = [] %}
  {% for column, kind in columns.items() %}{% do structure.append(column ~ ': ' ~ martfeast.evidence_type(kind)) %}{% endfor %}
  {% set sql %}
    insert into {{ martfeast.evidence_schema() }}.{{ table }}
    select
        inline(
            from_json(
                {{ martfeast.literal(entries) }},
                'array<struct<{{ structure | join(', ') }}>>',
                map('timestampFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSS', 'mode', 'FAILFAST')
            )
        )
  {% endset %}
  {{ return(sql) }}
{% endmacro %}


{# Remove all rows of a table of the evidence. #}
{% macro empty_evidence(table) %}
  {% do adapter.dispatch('empty_evidence', 'martfeast')(table) %}
{% endmacro %}

{% macro duckdb__empty_evidence(table) %}
  {% do run_query('delete from ' ~ martfeast.evidence_schema() ~ '.' ~ table) %}
{% endmacro %}

{% macro spark__empty_evidence(table) %}
  {% do run_query('truncate table ' ~ martfeast.evidence_schema() ~ '.' ~ table) %}
{% endmacro %}


{# A value as an SQL literal: null, text, number, boolean or timestamp. #}
{% macro literal(value) %}
  {% if value is none %}
    {{ return('null') }}
  {% elif value is boolean or value is number %}
    {{ return(value | string | lower) }}
  {% elif value.strftime is defined %}
    {{ return("timestamp '" ~ martfeast.moment(value) ~ "'") }}
  {% else %}
    {{ return(martfeast.text_literal(value)) }}
  {% endif %}
{% endmacro %}


{# A text as an SQL literal. #}
{% macro text_literal(text) %}
  {{ return(adapter.dispatch('text_literal', 'martfeast')(text)) }}
{% endmacro %}

{% macro default__text_literal(text) %}
  {{ return("'" ~ text | replace("'", "''") ~ "'") }}
{% endmacro %}

{% macro spark__text_literal(text) %}
  {{ return("'" ~ text | replace('\\', '\\\\') | replace("'", "\\'") ~ "'") }}
{% endmacro %}


{# A moment of any kind as the engine's type of the evidence's moments, UTC; SQL of one and of the other. #}
{% macro as_moment(expression) %}
  {{ return(adapter.dispatch('as_moment', 'martfeast')(expression)) }}
{% endmacro %}

{% macro duckdb__as_moment(expression) %}
  {{ return('make_timestamp(epoch_us(' ~ expression ~ '))') }}
{% endmacro %}

{% macro spark__as_moment(expression) %}
  {{ return('cast(' ~ expression ~ ' as timestamp)') }}
{% endmacro %}


{#
  A column as SQL of what is hashed of it: of doubles the digits of a float, as their sums differ in the last
  ones from build to build.
  column: quoted. type: as the engine describes it.
#}
{% macro hashable(column, type) %}
  {{ return(adapter.dispatch('hashable', 'martfeast')(column, type)) }}
{% endmacro %}

{% macro duckdb__hashable(column, type) %}
  {# One that is too large for a float stays as it is. #}
  {{ return('coalesce(try_cast(' ~ column ~ ' as float), ' ~ column ~ ')' if type == 'DOUBLE' else column) }}
{% endmacro %}

{% macro spark__hashable(column, type) %}
  {% if type == 'double' %}{{ return('cast(' ~ column ~ ' as float)') }}{% endif %}
  {# Spark hashes no maps, in whatever they are. #}
  {{ return('cast(' ~ column ~ ' as string)' if 'map<' in type or type == 'variant' else column) }}
{% endmacro %}


{# A hash of a row: a number, with room for a sum of many. columns: SQL of what is hashed, a list. #}
{% macro row_hash(columns) %}
  {{ return(adapter.dispatch('row_hash', 'martfeast')(columns)) }}
{% endmacro %}

{% macro duckdb__row_hash(columns) %}
  {{ return('hash(' ~ columns | join(', ') ~ ')') }}
{% endmacro %}

{% macro spark__row_hash(columns) %}
  {{ return('cast(xxhash64(' ~ columns | join(', ') ~ ') as decimal(20, 0))') }}
{% endmacro %}
