{#
  Writes each mart as Parquet: its contract columns in their order, then `published_at`, when this build began
  (UTC). Rows are ordered by the mart's timestamp and entity columns. Returns a list of '<mart> <row count>'.
#}
{% macro default__write_marts(marts, folder) -%}
  {%- do exceptions.raise_compiler_error(
    "martfeast publishes marts from DuckDB only, and target '" ~ target.name ~ "' is " ~ target.type
    ~ '. Build on a duckdb target, or remove meta.feast from: ' ~ marts | map(attribute='name') | join(', ')
  ) -%}
{%- endmacro %}


{% macro duckdb__write_marts(marts, folder) -%}
  {%- for mart in marts if not mart.config.contract.enforced -%}
    {%- do exceptions.raise_compiler_error(
      'martfeast cannot publish ' ~ mart.name ~ ': its contract is not enforced, so its columns are not known.'
      ~ ' Set config.contract.enforced: true in its YAML and give every column a data_type.'
    ) -%}
  {%- endfor -%}
  {%- do martfeast.make_folder(folder) -%}
  {%- set published_at = "timestamp '" ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S.%f') ~ "'" -%}
  {%- set row_counts = [] -%}
  {%- set records = [] -%}
  {%- for mart in marts -%}
    {# use_tmp_file: a reader sees the whole old file or the whole new one. #}
    {%- set copied -%}
      copy (
        select
          {% for column in mart.columns -%}
          {{ adapter.quote(column) }} as {{ adapter.quote(column) }},
          {% endfor -%}
          {{ published_at }} as published_at
        from {{ mart.relation_name }}
        order by {{ (martfeast.sort_columns(mart) or ['all']) | join(', ') }}
      ) to '{{ martfeast.quoted(folder ~ '/' ~ mart.alias ~ '.parquet') }}'
      (format parquet, compression zstd, use_tmp_file true)
    {%- endset -%}
    {%- set row_count = run_query(copied).columns[0].values()[0] | int -%}
    {%- do row_counts.append(mart.alias ~ ' ' ~ row_count) -%}
    {%- do records.append(
      "select '" ~ mart.alias ~ "' as mart, '" ~ mart.unique_id ~ "' as unique_id, " ~ row_count ~ " as rows, '"
      ~ invocation_id ~ "' as invocation_id, " ~ published_at ~ " as published_at"
    ) -%}
  {%- endfor -%}
  {%- do run_query(
    'copy (' ~ records | join(' union all ') ~ ") to '" ~ martfeast.quoted(folder ~ '/last_build.json')
    ~ "' (format json, use_tmp_file true)"
  ) -%}
  {{- return(row_counts) -}}
{%- endmacro %}


{# The mart's timestamp and entity columns, quoted. Only columns it has: `martfeast check` reports the others. #}
{% macro sort_columns(mart) -%}
  {%- set names = [] -%}
  {%- set feast = mart.config.meta['feast'] -%}
  {%- if feast is mapping and feast.get('timestamp') in mart.columns -%}
    {%- do names.append(adapter.quote(feast['timestamp'])) -%}
  {%- endif -%}
  {%- for column in mart.columns.values() -%}
    {%- set column_feast = column.config.meta.get('feast') -%}
    {%- if column_feast is mapping and column_feast.get('entity') -%}
      {%- do names.append(adapter.quote(column.name)) -%}
    {%- endif -%}
  {%- endfor -%}
  {{- return(names) -}}
{%- endmacro %}


{#
  Makes a folder and its parents where they are missing. DuckDB has no statement for that, but a partitioned
  COPY makes its folder, one level at a time, and a COPY of no rows leaves nothing in it.
#}
{% macro make_folder(folder) -%}
  {%- set levels = folder.split('/') -%}
  {%- for depth in range(1, levels | length + 1) if levels[depth - 1] -%}
    {%- do run_query(
      "copy (select 1 as a, 2 as b where false) to '" ~ martfeast.quoted(levels[:depth] | join('/'))
      ~ "' (format parquet, partition_by (a), append)"
    ) -%}
  {%- endfor -%}
{%- endmacro %}


{# A text for use between single quotes in SQL. #}
{% macro quoted(text) -%}
  {{- return(text | replace("'", "''")) -}}
{%- endmacro %}
