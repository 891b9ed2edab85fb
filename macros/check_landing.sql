{#
  Stops a run before it touches the warehouse when the landed files are missing or damaged, with the
  next step. The landing notes each file's size in landing.json; a whole Parquet file ends in PAR1.
#}
{% macro check_landing() -%}
  {%- if execute and flags.WHICH in ['build', 'run', 'test', 'snapshot', 'freshness'] -%}
    {%- set folder = 'data/landed/current/' -%}
    {%- set next_step = '. Run `make land`, then this command again. The warehouse was not touched.' -%}
    {%- set found = {} -%}
    {%- for file in landed_files(folder) -%}
      {%- do found.update({file['name']: file}) -%}
    {%- endfor -%}
    {%- if 'landing.json' not in found -%}
      {{ exceptions.raise_compiler_error('No data landed yet: there is no ' ~ folder ~ 'landing.json' ~ next_step) }}
    {%- endif -%}

    {%- set landing = fromjson(found['landing.json']['content'], {}) -%}
    {%- set files = landing.get('files', []) if landing is mapping else [] -%}
    {%- set problems = [] if files else ['landing.json does not list the landed files'] -%}
    {%- for file in files -%}
      {%- set name = file.name ~ '.parquet' -%}
      {%- if name not in found -%}
        {%- do problems.append(name ~ ' is missing') -%}
      {%- elif found[name]['byte_count'] != file.bytes -%}
        {%- do problems.append(
          name ~ ' has ' ~ found[name]['byte_count'] ~ ' bytes where the landing wrote ' ~ file.bytes
        ) -%}
      {%- elif not found[name]['is_parquet'] -%}
        {%- do problems.append(name ~ ' is not a whole Parquet file') -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if problems -%}
      {{ exceptions.raise_compiler_error(
        'The landed data in ' ~ folder ~ ' is damaged: ' ~ problems | join('; ') ~ next_step
      ) }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
