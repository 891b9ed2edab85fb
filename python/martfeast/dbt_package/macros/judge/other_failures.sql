{#
  Tests that failed on the present rows, and passed since with other SQL though their code is the same: with other
  variables, or another environment. Such a pass does not clear the failure.
#}
{% macro judge_other_failures() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
select distinct
    test_inputs.mart_id,
    test_inputs.test_id
from {{ judge }}.test_inputs
inner join {{ judge }}.latest_results on test_inputs.test_id = latest_results.node_id
inner join {{ evidence }}.results on test_inputs.test_id = results.node_id
inner join {{ judge }}.target_invocations on results.invocation_id = target_invocations.invocation_id
where
    target_invocations.is_this_target
    and not target_invocations.is_partial
    and target_invocations.invocation_number >= test_inputs.invocation_number
    and results.relations = latest_results.relations
    and results.code_checksum = latest_results.code_checksum
    and results.compiled_checksum <> latest_results.compiled_checksum
    and results.status = 'fail'
    and (results.tested_from is not distinct from latest_results.tested_from)
{% endmacro %}
