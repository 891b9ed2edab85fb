{#
  What counts is the newest result of a node, as the relation that it is now: another relation has other rows. A test
  that saw part of the rows, or other relations, says nothing of these: its newest result on all of them counts.
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
    results.compiled_checksum,
    results.tested_from,
    results.relations,
    results.invocation_id,
    target_invocations.invocation_number,
    target_invocations.is_partial,
    target_invocations.variables,
    target_invocations.target_name,
    target_invocations.is_this_target
from {{ evidence }}.results
inner join {{ judge }}.target_invocations
    on results.invocation_id = target_invocations.invocation_id
left join {{ judge }}.project_nodes on results.node_id = project_nodes.node_id
where
    (
        results.resource_type in ('model', 'seed', 'snapshot')
        and results.relations[1] = project_nodes.relations[1]
    )
    or (
        results.resource_type = 'test'
        and not target_invocations.is_partial
        and target_invocations.is_this_target
        and results.relations = project_nodes.relations
    )
    or (
        results.resource_type = 'unit_test'
        and not target_invocations.is_partial
        and target_invocations.is_this_target
    )
qualify
    row_number() over (
        partition by results.node_id order by target_invocations.invocation_number desc
    ) = 1
{% endmacro %}
