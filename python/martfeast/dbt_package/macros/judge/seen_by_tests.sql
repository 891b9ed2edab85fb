{#
  Tests whose newest result is of a part of the rows, and that have all the same seen every row: they passed on all of
  them lately, and every range that was made since lies in what a later pass read.
#}
{% macro judge_seen_by_tests() %}
{% set evidence = martfeast.evidence_schema() %}
{% set judge = martfeast.judge_schema() %}
with results as (
    select
        results.node_id as test_id,
        results.status,
        results.completed_at,
        results.tested_from,
        latest_results.tested_node_id,
        target_invocations.invocation_number
    from {{ judge }}.latest_results
    inner join {{ evidence }}.results
        on
            latest_results.node_id = results.node_id
            and latest_results.relations = results.relations
            and latest_results.code_checksum = results.code_checksum
    inner join {{ judge }}.target_invocations on results.invocation_id = target_invocations.invocation_id
    where
        latest_results.tested_from is not null
        and target_invocations.is_this_target
        and not target_invocations.is_partial
),

whole as (
    select
        test_id,
        any_value(tested_node_id) as tested_node_id,
        max(invocation_number) as invocation_number
    from results
    where tested_from is null
    group by test_id
    having
        max_by(status, invocation_number) = 'pass'
        and max_by(completed_at, invocation_number) > {{ martfeast.all_rows_due() }}
),

made as (
    select
        whole.test_id,
        target_invocations.invocation_number,
        ranges.range_start
    from whole
    inner join {{ evidence }}.ranges on whole.tested_node_id = ranges.node_id
    inner join {{ judge }}.target_invocations
        on
            ranges.invocation_id = target_invocations.invocation_id
            and whole.invocation_number < target_invocations.invocation_number
),

unseen as (
    select distinct made.test_id
    from made
    left join results
        on
            made.test_id = results.test_id
            and results.status = 'pass'
            and made.invocation_number <= results.invocation_number
            and coalesce(made.range_start >= results.tested_from, results.tested_from is null)
    where results.test_id is null
)

select whole.test_id
from whole
left join unseen on whole.test_id = unseen.test_id
where unseen.test_id is null
{% endmacro %}
