{#
  Every test of a mart ran after the rows were made, on the same load of the sources, with its present code, and
  passed; on all rows, or on those that were made since it passed on the others. `gap` says what is missing, `reason` adds a warning; a gap of a test of severity warn does not block.
#}
{% macro judge_test_results() %}
{% set judge = martfeast.judge_schema() %}
with gaps as (
    select
        test_uses.mart_id,
        test_uses.test_id,
        test_uses.name,
        test_uses.severity,
        latest_results.invocation_id,
        latest_results.status,
        latest_results.failure_count,
        latest_results.code_checksum,
        latest_results.variables,
        case
            when latest_results.status is null then 'test ' || test_uses.name || ' has not run'
            when latest_results.invocation_number < test_inputs.invocation_number
                then 'test ' || test_uses.name || ' has not run since ' || test_inputs.name || ' was built'
            when (latest_results.code_checksum is distinct from test_uses.code_checksum)
                then 'test ' || test_uses.name || ' has changed since it ran'
            when other_failures.test_id is not null and latest_results.status <> 'fail'
                then
                    'test ' || test_uses.name || ' failed, and passed only with other variables or another'
                    || ' environment'
            when latest_results.status = 'fail'
                then 'test ' || test_uses.name || ' failed (' || latest_results.failure_count || ')'
            when latest_results.status not in ('pass', 'warn')
                then 'test ' || test_uses.name || ': ' || latest_results.status
            when moved_sources.source_id is not null
                then
                    'test ' || test_uses.name || ' ran on another load of source '
                    || split_part(moved_sources.source_id, '.', -1)
            when latest_results.tested_from is not null and seen_by_tests.test_id is null
                then
                    'test ' || test_uses.name || ' has read a part of the rows, and not all of them in the time that'
                    || ' test_all_rows_every says: run dbt test'
        end as gap
    from {{ judge }}.test_uses
    left join {{ judge }}.latest_results on test_uses.test_id = latest_results.node_id
    left join {{ judge }}.test_inputs
        on
            test_uses.mart_id = test_inputs.mart_id
            and test_uses.test_id = test_inputs.test_id
    left join {{ judge }}.other_failures
        on
            test_uses.mart_id = other_failures.mart_id
            and test_uses.test_id = other_failures.test_id
    left join {{ judge }}.seen_by_tests on test_uses.test_id = seen_by_tests.test_id
    left join {{ judge }}.moved_sources
        on
            test_uses.mart_id = moved_sources.mart_id
            and latest_results.invocation_id = moved_sources.invocation_id
)

select
    mart_id,
    test_id,
    severity,
    invocation_id,
    status,
    code_checksum,
    variables,
    gap,
    case
        when gap is not null then gap
        when status = 'warn' then 'test ' || name || ' warned (' || failure_count || ')'
    end as reason,
    gap is not null and severity <> 'warn' as is_blocking,
    case when status = 'skipped' then 4 else 1 end as priority
from gaps
{% endmacro %}
