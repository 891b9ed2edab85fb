{#
  When the rows of a node were last made: by its own build, and for a view by the newest build among its
  ancestors.
#}
{% macro judge_row_ages() %}
{% set judge = martfeast.judge_schema() %}
select
    ancestry.node_id,
    max(relations.invocation_number) as invocation_number
from {{ judge }}.ancestry
inner join {{ judge }}.relations on ancestry.ancestor_id = relations.node_id
inner join {{ judge }}.project_nodes on ancestry.node_id = project_nodes.node_id
where
    ancestry.node_id = ancestry.ancestor_id
    or project_nodes.is_view
group by ancestry.node_id
{% endmacro %}
