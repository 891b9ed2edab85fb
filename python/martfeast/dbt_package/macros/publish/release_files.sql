{#
  Load the marts of the current release, one row per mart; none when nothing is published yet. A current.json
  that cannot be read is passed over for the newest release that can be, and replaced at the end of this run.
#}
{% macro load_current_release(folder, shown) -%}
  {%- set file_count = martfeast.read_newest_release(folder, '/current.json') -%}
  {%- if not run_query('from martfeast_readable').rows -%}
    {%- set file_count = file_count + martfeast.read_newest_release(folder, '/releases/*.json') -%}
    {%- if file_count -%}
      {%- do log('martfeast: ' ~ shown ~ '/current.json is missing or damaged; it is written anew from the newest release', info=true) -%}
    {%- endif -%}
  {%- endif -%}
  {%- set structure = {
    'mart': 'VARCHAR', 'unique_id': 'VARCHAR', 'version': 'VARCHAR', 'path': 'VARCHAR', 'published_at': 'VARCHAR',
    'built_by': 'VARCHAR', 'code_checksum': 'VARCHAR', 'columns': 'JSON', 'row_count': 'BIGINT',
    'first_known_at': 'TIMESTAMP', 'last_known_at': 'TIMESTAMP', 'content_hash': 'VARCHAR', 'tests': 'JSON',
    'sources': 'JSON', 'lineage': 'JSON', 'held_back': 'VARCHAR[]', 'warnings': 'VARCHAR[]'
  } -%}
  {%- do run_query(
    'create or replace temp table martfeast_current as select release_number, unnest(entry) from ('
    ~ "select (release ->> '$.release_number')::bigint as release_number,"
    ~ " unnest(from_json(release -> '$.marts', " ~ martfeast.literal('[' ~ tojson(structure) ~ ']') ~ ')) as entry'
    ~ ' from martfeast_readable)'
  ) -%}
{%- endmacro %}


{# Read the newest release that can be read among some files; return how many files there are. #}
{% macro read_newest_release(folder, pattern) -%}
  {%- set files = run_query(
    'select file from glob(' ~ martfeast.glob_literal(folder, pattern) ~ ')'
    ~ " where not starts_with(parse_filename(file), 'tmp_')"
  ).columns[0].values() -%}
  {%- set globs = [] -%}
  {%- for file in files -%}{%- do globs.append(martfeast.glob_literal(file, '')) -%}{%- endfor -%}
  {%- set contents = 'read_text([' ~ globs | join(', ') ~ '])' if files
    else '(select null::varchar as filename, null::varchar as content where false)' -%}
  {%- do run_query(
    'create or replace temp table martfeast_readable as select content::json as release from ' ~ contents
    ~ " where json_valid(content) and content::json ->> '$.format' = '1'"
    ~ "   and json_type(content::json -> '$.marts') = 'ARRAY'"
    ~ ' order by filename desc limit 1'
  ) -%}
  {{- return(files | length) -}}
{%- endmacro %}


{#
  Write a version: the mart's columns in the order of its contract, then `published_at`, when this run began
  (UTC). Rows are ordered by the mart's timestamp and entity columns.
#}
{% macro copy_mart(mart, path) -%}
  {%- do run_query(
    'copy (select ' ~ martfeast.published_columns(mart) | join(', ') ~ ', '
    ~ martfeast.literal(run_started_at) ~ ' as published_at from ' ~ mart.relation_name
    ~ ' order by ' ~ (martfeast.sort_columns(mart) or ['all']) | join(', ') ~ ') to ' ~ martfeast.literal(path)
    ~ ' (format parquet, compression zstd, use_tmp_file true)'
  ) -%}
{%- endmacro %}


{# The mart's timestamp and entity columns, quoted. Only columns it has: `martfeast status` reports the others. #}
{% macro sort_columns(mart) -%}
  {%- set names = [] -%}
  {%- set feast = martfeast.feast_meta(mart) -%}
  {%- if feast is mapping and feast.get('timestamp') is string and feast['timestamp'] in mart.columns -%}
    {%- do names.append(adapter.quote(feast['timestamp'])) -%}
  {%- endif -%}
  {%- for column in mart.columns.values() -%}
    {%- set column_feast = martfeast.feast_meta(column) -%}
    {%- if column_feast is mapping and column_feast.get('entity') -%}
      {%- do names.append(adapter.quote(column.name)) -%}
    {%- endif -%}
  {%- endfor -%}
  {{- return(names) -}}
{%- endmacro %}


{# The folder of a mart's versions: unlike its alias, a model's unique_id is nobody else's. #}
{% macro mart_folder(mart) -%}
  {{- return(mart.unique_id.split('.', 1)[1]) -}}
{%- endmacro %}


{# A path, taken as it is, and a pattern after it, as a literal for DuckDB's glob and read functions. #}
{% macro glob_literal(path, pattern) -%}
  {%- set plain = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
  {{- return(martfeast.literal(plain ~ pattern)) -}}
{%- endmacro %}


{# Replace a JSON file with the one row of a query, by one rename. #}
{% macro write_json(query, path) -%}
  {%- do run_query('copy (' ~ query ~ ') to ' ~ martfeast.literal(path) ~ ' (format json, use_tmp_file true)') -%}
{%- endmacro %}


{#
  Make a folder and its parents where they are missing. DuckDB has no statement for that, but a partitioned
  COPY makes its folder, one level at a time, and a COPY of no rows leaves nothing in it.
#}
{% macro make_folder(folder) -%}
  {%- set levels = folder.split('/') -%}
  {%- for depth in range(1, levels | length + 1) if levels[depth - 1] -%}
    {%- do run_query(
      'copy (select 1 as a, 2 as b where false) to ' ~ martfeast.literal(levels[:depth] | join('/'))
      ~ ' (format parquet, partition_by (a), append)'
    ) -%}
  {%- endfor -%}
{%- endmacro %}
