{#
  Note what the rows of a mart are. The content hash is independent of their order: the sum of the MD5 hashes
  of all rows, which also counts duplicates.
#}
{% macro measure_mart(mart, version) -%}
  {%- set columns = martfeast.published_columns(mart) -%}
  {%- set feast = martfeast.feast_meta(mart) -%}
  {%- set timestamp = feast.get('timestamp') if feast is mapping else none -%}
  {%- set known_at = 'try_cast(' ~ adapter.quote(timestamp) ~ ' as timestamp)'
    if timestamp is string and timestamp in mart.columns else 'null::timestamp' -%}
  {%- set chosen = 'select ' ~ columns | join(', ') ~ ' from ' ~ mart.relation_name -%}
  {%- do run_query(
    'insert into martfeast_new select ' ~ martfeast.literal(mart.unique_id) ~ ', ' ~ martfeast.literal(version)
    ~ ', ' ~ martfeast.literal('marts/' ~ martfeast.mart_folder(mart) ~ '/' ~ version ~ '.parquet') ~ ', true, count(*),'
    ~ " md5(concat_ws('-', count(*), sum(md5_number_lower(line)::hugeint), sum(md5_number_upper(line)::hugeint))),"
    ~ " (select to_json(list({'name': column_name, 'type': column_type})) from (describe " ~ chosen ~ ')),'
    ~ ' min(known_at), max(known_at)'
    ~ ' from (select row(' ~ columns | join(', ') ~ ')::varchar as line, ' ~ known_at ~ ' as known_at from '
    ~ mart.relation_name ~ ')'
  ) -%}
{%- endmacro %}


{# The columns of the contract, quoted; those of the table where no contract is enforced. #}
{% macro published_columns(mart) -%}
  {%- set names = [] -%}
  {%- if mart.config.contract.enforced -%}
    {%- for name in mart.columns -%}{%- do names.append(adapter.quote(name)) -%}{%- endfor -%}
  {%- else -%}
    {%- set relation = api.Relation.create(mart.database, mart.schema, mart.alias) -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}{%- do names.append(column.quoted) -%}{%- endfor -%}
  {%- endif -%}
  {{- return(names) -}}
{%- endmacro %}
