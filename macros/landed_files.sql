{#
  The files in a folder, by their bytes: rows of name, byte_count, is_parquet (whether it ends in PAR1), and content,
  the text of a JSON file. No rows where there is no folder.

  folder: relative to the project, with / at the end.
#}
{% macro landed_files(folder) -%}
  {{ return(adapter.dispatch('landed_files', 'nyc_flights')(folder)) }}
{%- endmacro %}

{% macro duckdb__landed_files(folder) -%}
  {%- set files -%}
    select
      parse_filename(filename) as name,
      size as byte_count,
      array_slice(content, size - 3, size) = 'PAR1'::blob as is_parquet,
      case when filename like '%.json' then decode(content) end as content
    from read_blob('{{ folder }}*')
  {%- endset -%}
  {{ return(run_query(files).rows) }}
{%- endmacro %}

{#- Of a path, Spark says only that it is not there; of a table at that path, that it has no rows. -#}
{% macro spark__landed_files(folder) -%}
  {%- set working_folder = run_query("select reflect('java.lang.System', 'getProperty', 'user.dir')").rows[0][0] -%}
  {%- set project = invocation_args_dict.project_dir or '.' -%}
  {%- set project = project if project.startswith('/') else working_folder ~ '/' ~ project -%}
  {%- set location = (project ~ '/' ~ folder) | replace("\\", "\\\\") | replace("'", "\\'") -%}
  {%- set table = "create table landed_files using binaryfile location '" ~ location ~ "'" -%}
  {%- set files -%}
    select
      element_at(split(path, '/'), -1) as name,
      length as byte_count,
      substring(content, -4) = cast('PAR1' as binary) as is_parquet,
      case when path like '%.json' then cast(content as string) end as content
    from landed_files
  {%- endset -%}
  {%- do run_query('drop table if exists landed_files') -%}
  {%- do run_query(table) -%}
  {%- set rows = run_query(files).rows -%}
  {%- do run_query('drop table landed_files') -%}
  {{ return(rows) }}
{%- endmacro %}
