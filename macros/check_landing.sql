{#
  Stops a run before it touches the warehouse when the landed files are missing or damaged, with the
  next step. The landing notes each file's size in landing.json; a file cut short has another one.
#}
{% macro check_landing() -%}
  {%- if execute and flags.WHICH in ['build', 'run', 'test', 'snapshot'] and target.type == 'duckdb' -%}
    {%- set folder = 'data/landed/current/' -%}
    {%- set next_step = 'Run `make land`, then this command again. The warehouse was not touched.' -%}
    {%- set found = run_query("select count(*) from glob('" ~ folder ~ "landing.json')") -%}
    {%- if found.columns[0].values()[0] == 0 -%}
      {{ exceptions.raise_compiler_error('No data landed yet: ' ~ folder ~ ' has no landing.json. ' ~ next_step) }}
    {%- endif -%}
    {%- set damaged -%}
      with landing as (
        select unnest(files) as file from read_json('{{ folder }}landing.json')
      ),

      on_disk as (
        select parse_filename(filename, true) as name, size
        from read_blob('{{ folder }}*.parquet')
      )

      select
        landing.file.name as name,
        landing.file.bytes as expected_bytes,
        on_disk.size as found_bytes
      from landing
      left join on_disk on landing.file.name = on_disk.name
      where on_disk.size is distinct from landing.file.bytes
      order by name
    {%- endset -%}
    {%- set problems = [] -%}
    {%- for row in run_query(damaged).rows -%}
      {%- if row['found_bytes'] is none -%}
        {%- do problems.append(row['name'] ~ '.parquet is missing') -%}
      {%- else -%}
        {%- do problems.append(
          row['name'] ~ '.parquet has ' ~ row['found_bytes'] ~ ' bytes where the landing wrote '
          ~ row['expected_bytes']
        ) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if problems -%}
      {{ exceptions.raise_compiler_error(
        'The landed data in ' ~ folder ~ ' is damaged: ' ~ problems | join('; ') ~ '. ' ~ next_step
      ) }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
