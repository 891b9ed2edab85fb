{#
  A run that began and never ended may have rebuilt anything it was to build: the newest such run of each node.
#}
{% macro judge_unfinished_builds() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with selections as (
    select
        target_invocations.invocation_number,
        unnest(target_invocations.selected_nodes) as node_id
    from {{ judge }}.target_invocations
    left join {{ evidence }}.completions
        on target_invocations.invocation_id = completions.invocation_id
    where completions.invocation_id is null
)

select
    node_id,
    max(invocation_number) as invocation_number
from selections
group by node_id
{% endmacro %}
