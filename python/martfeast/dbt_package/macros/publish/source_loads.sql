{#
  Note how new the sources under the marts are: the same `loaded_at` that `dbt source freshness` looks at. It
  ties tests to the load they ran on, and it is what the gate judges freshness by. A source that something has
  failed on in this run may not be there, and is left out.
#}
{% macro record_source_loads() -%}
  {%- set schema = martfeast.evidence_schema() -%}
  {%- set source_ids = run_query(
    'with recursive ancestry as ('
    ~ 'select node_id from ' ~ schema ~ '.nodes where is_mart'
    ~ ' union select unnest(nodes.parents) from ancestry'
    ~ ' inner join ' ~ schema ~ ".nodes on ancestry.node_id = nodes.node_id)"
    ~ " select node_id from ancestry where node_id like 'source.%'"
    ~ ' except'
    ~ ' (with recursive failed as ('
    ~ 'select node_id from ' ~ schema ~ '.results where invocation_id = ' ~ martfeast.literal(invocation_id)
    ~ "   and status in ('error', 'runtime error')"
    ~ ' union select unnest(nodes.parents) from failed'
    ~ ' inner join ' ~ schema ~ '.nodes on failed.node_id = nodes.node_id)'
    ~ ' select node_id from failed)'
  ).columns[0].values() -%}
  {%- set queries = [] -%}
  {%- for source_id in source_ids -%}
    {%- set source = graph.sources[source_id] -%}
    {%- set loaded_at = none -%}
    {%- if source.loaded_at_query -%}
      {%- set loaded_at = '(' ~ source.loaded_at_query ~ ')' -%}
    {%- elif source.loaded_at_field -%}
      {%- set loaded_at = '(select max(' ~ source.loaded_at_field ~ ') from ' ~ source.relation_name
        ~ (' where ' ~ source.freshness.filter if source.freshness and source.freshness.filter else '') ~ ')' -%}
    {%- endif -%}
    {%- if loaded_at -%}
      {%- do queries.append(
        'select ' ~ martfeast.literal(invocation_id) ~ ', ' ~ martfeast.literal(source_id)
        ~ ', make_timestamp(epoch_us(' ~ loaded_at ~ '))'
      ) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if queries -%}
    {%- do run_query('insert into ' ~ schema ~ '.source_loads ' ~ queries | join(' union all ')) -%}
  {%- endif -%}
{%- endmacro %}
