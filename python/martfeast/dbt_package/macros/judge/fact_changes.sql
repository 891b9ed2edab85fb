{#
  The batches of facts that a run found to be others than an earlier one had: which, and how many more or fewer. What was
  noted of a relation the first time is no change, nor what was noted on another basis than before.
#}
{% macro judge_fact_changes() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with noted as (
    select
        fact_batches.*,
        target_invocations.invocation_number,
        min(target_invocations.invocation_number) over same_basis as first_number,
        lag(fact_batches.row_count, 1, 0) over same_batch as previous_count
    from {{ evidence }}.fact_batches
    inner join {{ judge }}.target_invocations
        on fact_batches.invocation_id = target_invocations.invocation_id
    window
        same_basis as (partition by fact_batches.relation, fact_batches.batch_size, fact_batches.basis),
        same_batch as (
            partition by fact_batches.relation, fact_batches.batch_size, fact_batches.basis, fact_batches.batch_start
            order by target_invocations.invocation_number
        )
)

select
    noted.relation,
    coalesce(project_nodes.name, split_part(noted.node_id, '.', -1)) as name,
    noted.invocation_number,
    noted.batch_start,
    noted.batch_start + cast('1 ' || noted.batch_size as interval) as batch_end,
    noted.row_count - noted.previous_count as row_difference
from noted
left join {{ judge }}.project_nodes on noted.node_id = project_nodes.node_id
where noted.invocation_number > noted.first_number
{% endmacro %}
