{#
  A run that began and never ended may have rebuilt anything it was to build: the newest such run of each node.
#}
{% macro judge_unfinished_builds() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with selections as (
    select
        target_invocations.invocation_number,
        unnest(target_invocations.selected_nodes) as node_id,
        unnest(target_invocations.selected_relations) as relation
    from {{ judge }}.target_invocations
    left join {{ evidence }}.completions
        on target_invocations.invocation_id = completions.invocation_id
    where completions.invocation_id is null
)

select
    selections.node_id,
    max(selections.invocation_number) as invocation_number
from selections
inner join {{ judge }}.project_nodes
    on
        selections.node_id = project_nodes.node_id
        and selections.relation = project_nodes.relations[1]
group by selections.node_id
{% endmacro %}
