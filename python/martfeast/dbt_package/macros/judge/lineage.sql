{#
  A mart answers for all that its rows come from: each mart with its ancestors, itself among them.
#}
{% macro judge_lineage() %}
{% set judge = martfeast.judge_schema() %}
select
    project_nodes.node_id as mart_id,
    ancestry.ancestor_id as node_id
from {{ judge }}.project_nodes
inner join {{ judge }}.ancestry on project_nodes.node_id = ancestry.node_id
where project_nodes.is_mart
{% endmacro %}
