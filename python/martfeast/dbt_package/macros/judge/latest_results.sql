{#
  What counts is the newest result of a node. A test that saw part of the rows, or others, says nothing of these:
  its newest result on all of them counts.
#}
{% macro judge_latest_results() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
select
    results.node_id,
    results.resource_type,
    results.tested_node_id,
    results.status,
    results.failure_count,
    results.message,
    results.code_checksum,
    results.invocation_id,
    target_invocations.invocation_number,
    target_invocations.is_partial
from {{ evidence }}.results
inner join {{ judge }}.target_invocations
    on results.invocation_id = target_invocations.invocation_id
where
    results.resource_type in ('model', 'seed', 'snapshot')
    or (results.resource_type in ('test', 'unit_test') and not target_invocations.is_partial)
qualify
    row_number() over (
        partition by results.node_id order by target_invocations.invocation_number desc
    ) = 1
{% endmacro %}
