{#
  A relation is built after its ancestors: one that is older than they are has rows that they no longer have. A
  view is never too old.
#}
{% macro judge_order_reasons() %}
{% set judge = martfeast.judge_schema() %}
select
    lineage.mart_id,
    child.node_id,
    3 as priority,
    child.name || ' was built before its ancestor ' || min(parent.name) || ' was rebuilt' as reason
from {{ judge }}.lineage
inner join {{ judge }}.relations as child on lineage.node_id = child.node_id
inner join {{ judge }}.ancestry on child.node_id = ancestry.node_id
inner join {{ judge }}.relations as parent on ancestry.ancestor_id = parent.node_id
where
    not child.is_view
    and child.invocation_number < parent.invocation_number
group by lineage.mart_id, child.node_id, child.name
{% endmacro %}
