{#
  How old the rows are that a test on a node is about. Where a source does not say when it was loaded, its rows
  are taken to be as new as what was built from them.
#}
{% macro judge_input_ages() %}
{% set judge = martfeast.judge_schema() %}
select
    lineage.mart_id,
    row_ages.node_id,
    row_ages.invocation_number,
    coalesce(project_nodes.name, row_ages.node_id) as name
from {{ judge }}.lineage
inner join {{ judge }}.row_ages on lineage.node_id = row_ages.node_id
inner join {{ judge }}.project_nodes on lineage.node_id = project_nodes.node_id

union all

select
    mart_id,
    source_id as node_id,
    max(invocation_number) as invocation_number,
    max_by(name, invocation_number) as name
from {{ judge }}.source_readings
where loaded_at is null
group by mart_id, source_id
{% endmacro %}
