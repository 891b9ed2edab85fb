{#
  An incremental model and a snapshot keep what earlier builds left. One that was built on part of the data stays
  partial until a full refresh on all of it.
#}
{% macro judge_kept_partial() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with builds as (
    select
        results.node_id,
        target_invocations.is_partial,
        target_invocations.invocation_number,
        max(target_invocations.invocation_number) filter (where target_invocations.is_full_refresh)
            over (partition by results.node_id) as refresh_number
    from {{ evidence }}.results
    inner join {{ judge }}.target_invocations
        on results.invocation_id = target_invocations.invocation_id
    inner join {{ judge }}.project_nodes
        on
            results.node_id = project_nodes.node_id
            and results.relations[1] = project_nodes.relations[1]
    where
        results.status = 'success'
        and results.materialized in ('incremental', 'snapshot')
)

select distinct node_id from builds
where is_partial and invocation_number >= coalesce(refresh_number, 0)
{% endmacro %}
