{#
  Stops a run before it touches the warehouse when the landed files are missing or damaged, with the
  next step. The landing notes each file's size in landing.json; a whole Parquet file ends in PAR1.
#}
{% macro check_landing() -%}
  {%- if execute and flags.WHICH in ['build', 'run', 'test', 'snapshot', 'freshness'] and target.type == 'duckdb' -%}
    {%- set folder = 'data/landed/current/' -%}
    {%- set next_step = '. Run `make land`, then this command again. The warehouse was not touched.' -%}
    {%- if run_query("from glob('" ~ folder ~ "landing.json')").rows | length == 0 -%}
      {{ exceptions.raise_compiler_error('No data landed yet: there is no ' ~ folder ~ 'landing.json' ~ next_step) }}
    {%- endif -%}

    {%- set landing -%}
      with landing as (
        select
          unnest(from_json(
            case when json_valid(content) then content end -> '$.files',
            '[{"name": "VARCHAR", "bytes": "BIGINT"}]'
          )) as file
        from read_text('{{ folder }}landing.json')
      ),

      parquet as (
        select
          parse_filename(filename, true) as name,
          size,
          array_slice(content, size - 3, size) = 'PAR1'::blob as is_whole
        from read_blob('{{ folder }}*.parquet')
      )

      select
        landing.file.name as name,
        case
          when parquet.name is null then 'is missing'
          when parquet.size <> landing.file.bytes
            then 'has ' || parquet.size || ' bytes where the landing wrote ' || landing.file.bytes
          when not parquet.is_whole then 'is not a whole Parquet file'
        end as problem
      from landing
      left join parquet on landing.file.name = parquet.name
      order by name
    {%- endset -%}

    {%- set files = run_query(landing).rows -%}
    {%- set problems = [] if files else ['landing.json does not list the landed files'] -%}
    {%- for file in files if file['problem'] -%}
      {%- do problems.append(file['name'] ~ '.parquet ' ~ file['problem']) -%}
    {%- endfor -%}
    {%- if problems -%}
      {{ exceptions.raise_compiler_error(
        'The landed data in ' ~ folder ~ ' is damaged: ' ~ problems | join('; ') ~ next_step
      ) }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
