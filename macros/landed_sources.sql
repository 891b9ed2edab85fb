{#
  Makes a view over each landed Parquet file where the engine does not know dbt-duckdb's `external_location`, so that
  source() finds it there: on Spark, at the start of every command that reads sources.
#}
{% macro landed_sources() -%}
  {%- if execute and flags.WHICH in ['build', 'run', 'test', 'snapshot', 'freshness'] and target.type == 'spark' -%}
    {%- set folder = (invocation_args_dict.get('project_dir') or '.') ~ '/data/landed/current/' -%}
    {%- for source in graph.sources.values() if source.package_name == project_name -%}
      {%- do run_query('create schema if not exists ' ~ source.schema) -%}
      {%- set view -%}
        create or replace view {{ source.schema }}.{{ source.identifier }} as
        select * from parquet.`{{ folder }}{{ source.name }}.parquet`
      {%- endset -%}
      {%- do run_query(view) -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}
