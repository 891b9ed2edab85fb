{#
  Every node with each of its ancestors, itself and its sources among them.
#}
{% macro judge_ancestry() %}
{% set judge = martfeast.judge_schema() %}
with recursive ancestry as (
    select
        node_id,
        node_id as ancestor_id
    from {{ judge }}.project_nodes
    where resource_type <> 'test'

    union

    select
        ancestry.node_id,
        unnest(project_nodes.parents) as ancestor_id
    from ancestry
    inner join {{ judge }}.project_nodes on ancestry.ancestor_id = project_nodes.node_id
)

select
    node_id,
    ancestor_id
from ancestry
{% endmacro %}
