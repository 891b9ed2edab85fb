{#
  An incremental model and a snapshot keep what earlier builds left. One that was built on part of the data stays
  partial until a full refresh on all of it.
#}
{% macro judge_kept_partial() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
select results.node_id
from {{ evidence }}.results
inner join {{ judge }}.target_invocations
    on results.invocation_id = target_invocations.invocation_id
where
    results.status = 'success'
    and results.materialized in ('incremental', 'snapshot')
group by results.node_id
having
    coalesce(
        max(target_invocations.invocation_number) filter (where target_invocations.is_partial), 0
    )
    > coalesce(
        max(target_invocations.invocation_number) filter (
            where target_invocations.is_full_refresh and not target_invocations.is_partial
        ),
        0
    )
{% endmacro %}
