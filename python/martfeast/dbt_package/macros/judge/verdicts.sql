{#
  The present rows of a mart may be published when there is no reason against it. One row per mart, with the
  reasons, the most telling first, and with the evidence: the tests that ran, the oldest load of each source that
  any of its relations was built from, and the code that each relation was built with.
#}
{% macro judge_verdicts() %}
{% set judge = martfeast.judge_schema() %}
with mart_reasons as (
    select
        mart_id,
        list(reason order by priority, reason) as reasons
    from {{ judge }}.reasons
    group by mart_id
),

all_warnings as (
    select
        mart_id,
        reason as warning
    from {{ judge }}.test_results
    where reason is not null and not is_blocking

    union

    select
        mart_id,
        warning
    from {{ judge }}.stale_warnings
),

mart_warnings as (
    select
        mart_id,
        list(warning order by warning) as warnings
    from all_warnings
    group by mart_id
),

ran_tests as (
    select
        mart_id,
        test_id,
        status,
        invocation_id,
        code_checksum,
        variables
    from {{ judge }}.test_results
    where status is not null

    union

    select
        mart_id,
        test_id,
        status,
        invocation_id,
        code_checksum,
        null as variables
    from {{ judge }}.unit_test_results
),

mart_tests as (
    select
        mart_id,
        list(
            {
                'test': test_id,
                'status': status,
                'invocation': invocation_id,
                'code_checksum': code_checksum,
                'variables': variables
            }
            order by test_id
        ) as tests
    from ran_tests
    group by mart_id
),

oldest_loads as (
    select
        mart_id,
        source_id,
        min(loaded_at) as loaded_at
    from {{ judge }}.source_readings
    group by mart_id, source_id
),

mart_sources as (
    select
        mart_id,
        list(
            {
                'source': source_id,
                'loaded_at': loaded_at
            }
            order by source_id
        ) as sources
    from oldest_loads
    group by mart_id
),

mart_lineage as (
    select
        lineage.mart_id,
        list(
            {
                'node': relations.node_id,
                'code_checksum': relations.built_checksum,
                'compiled_checksum': relations.compiled_checksum,
                'variables': relations.variables
            }
            order by relations.node_id
        ) as lineage
    from {{ judge }}.lineage
    inner join {{ judge }}.relations on lineage.node_id = relations.node_id
    group by lineage.mart_id
)

select
    project_nodes.node_id as mart_id,
    relations.name as mart,
    relations.invocation_id as built_by,
    relations.built_checksum as code_checksum,
    relations.is_view,
    coalesce(mart_reasons.reasons, []) as reasons,
    coalesce(mart_warnings.warnings, []) as warnings,
    coalesce(mart_tests.tests, []) as tests,
    coalesce(mart_sources.sources, []) as sources,
    coalesce(mart_lineage.lineage, []) as lineage
from {{ judge }}.project_nodes
inner join {{ judge }}.relations on project_nodes.node_id = relations.node_id
left join mart_reasons on project_nodes.node_id = mart_reasons.mart_id
left join mart_warnings on project_nodes.node_id = mart_warnings.mart_id
left join mart_tests on project_nodes.node_id = mart_tests.mart_id
left join mart_sources on project_nodes.node_id = mart_sources.mart_id
left join mart_lineage on project_nodes.node_id = mart_lineage.mart_id
where project_nodes.is_mart
{% endmacro %}
