{#
  The verdict on every mart, from the evidence alone: one row per mart with whether its present rows may be
  published, the reasons why not, the warnings, and the tests that vouch for it.

  What is asked of a mart, and of each of its ancestors:
    - its last build succeeded, was whole (no --empty, no --sample, no --defer), and ran the code that the
      project has now, macros included; what an incremental model keeps was built so as well;
    - no later run that was to rebuild it ended without a word;
    - it was built after its ancestors were;
    - every test on it ran after its rows were made, on the same load of the sources, and passed.

  Within an invocation dbt itself keeps the order: parents before children, tests after what they test.
  A view's rows are as new as the newest of its ancestors. A test counts for the node it is attached to; a
  singular test counts for every node it reads. Severity decides what blocks: a test of severity warn never does.
#}
{% macro verdicts_sql() -%}
  {%- set schema = martfeast.evidence_schema() -%}
with recursive nodes as (
    select
        *,
        materialized in ('view', 'ephemeral') as is_view
    from {{ schema }}.nodes
),

marts as (
    select node_id as mart_id from nodes
    where is_mart
),

invocations as (
    select * from {{ schema }}.invocations
    where target_name = {{ martfeast.literal(target.name) }}
),

ancestry as (
    select
        node_id,
        node_id as ancestor_id
    from nodes
    where resource_type <> 'test'

    union

    select
        ancestry.node_id,
        unnest(nodes.parents) as ancestor_id
    from ancestry
    inner join nodes on ancestry.ancestor_id = nodes.node_id
),

lineage as (
    select
        marts.mart_id,
        ancestry.ancestor_id as node_id
    from marts
    inner join ancestry on marts.mart_id = ancestry.node_id
),

latest as (
    select
        results.*,
        invocations.invocation_number,
        invocations.is_partial
    from {{ schema }}.results
    inner join invocations on results.invocation_id = invocations.invocation_id
    where
        results.resource_type in ('model', 'seed', 'snapshot')
        -- A test that saw part of the rows, or others, says nothing of these.
        or (results.resource_type in ('test', 'unit_test') and not invocations.is_partial)
    qualify row_number() over (
        partition by results.node_id order by invocations.invocation_number desc
    ) = 1
),

-- An incremental model and a snapshot keep what earlier builds left: the builds since the last whole one.
kept_partial as (
    select results.node_id
    from {{ schema }}.results
    inner join invocations on results.invocation_id = invocations.invocation_id
    where results.status = 'success' and results.materialized in ('incremental', 'snapshot')
    group by results.node_id
    having
        coalesce(max(invocations.invocation_number) filter (where invocations.is_partial), 0)
        > coalesce(max(invocations.invocation_number) filter (
            where invocations.is_full_refresh and not invocations.is_partial
        ), 0)
),

unfinished_selections as (
    select
        invocations.invocation_number,
        unnest(invocations.selected_nodes) as node_id
    from invocations
    left join {{ schema }}.completions on invocations.invocation_id = completions.invocation_id
    where completions.invocation_id is null
),

unfinished as (
    select
        node_id,
        max(invocation_number) as invocation_number
    from unfinished_selections
    group by node_id
),

relations as (
    select
        nodes.node_id,
        nodes.name,
        nodes.is_view,
        nodes.code_checksum,
        latest.invocation_id,
        latest.invocation_number,
        latest.status,
        latest.message,
        latest.is_partial or kept_partial.node_id is not null as is_partial,
        latest.code_checksum as built_checksum,
        unfinished.invocation_number as unfinished_number
    from nodes
    left join latest on nodes.node_id = latest.node_id
    left join kept_partial on nodes.node_id = kept_partial.node_id
    left join unfinished on nodes.node_id = unfinished.node_id
    where nodes.resource_type <> 'test' and nodes.materialized <> 'ephemeral'
),

-- When the rows of a relation were last made.
row_ages as (
    select
        ancestry.node_id,
        max(relations.invocation_number) as invocation_number
    from ancestry
    inner join relations on ancestry.ancestor_id = relations.node_id
    inner join nodes on ancestry.node_id = nodes.node_id
    where ancestry.node_id = ancestry.ancestor_id or nodes.is_view
    group by all
),

build_reasons as (
    select
        lineage.mart_id,
        relations.node_id,
        case
            when relations.status is null then 1
            when relations.status in ('error', 'partial success') or relations.is_partial then 0
            when relations.status <> 'success' then 4
            else 2
        end as priority,
        case
            when relations.status is null then relations.name || ' has not been built'
            when relations.status in ('error', 'partial success') then relations.name || ' failed to build'
            when relations.status <> 'success' then relations.name || ' was ' || relations.status
            when relations.is_partial
                then relations.name || ' was built with --empty, --sample or --defer, so not on all its data'
            when relations.built_checksum is distinct from relations.code_checksum
                then relations.name || ' has changed since it was built'
            when relations.unfinished_number > relations.invocation_number
                then 'a run that was to build ' || relations.name || ' was cut off'
        end as reason
    from lineage
    inner join relations on lineage.node_id = relations.node_id
),

order_reasons as (
    select
        lineage.mart_id,
        child.node_id,
        3 as priority,
        child.name || ' was built before its ancestor ' || min(parent.name) || ' was rebuilt' as reason
    from lineage
    inner join relations as child on lineage.node_id = child.node_id
    inner join ancestry on child.node_id = ancestry.node_id
    inner join relations as parent on ancestry.ancestor_id = parent.node_id
    where not child.is_view and child.invocation_number < parent.invocation_number
    group by lineage.mart_id, child.node_id, child.name
),

-- What each relation reads of sources when it is built: directly, or through views.
readings as (
    select
        node_id as reader_id,
        unnest(parents) as read_id
    from nodes
    where resource_type <> 'test' and (not is_view or is_mart)

    union

    select
        readings.reader_id,
        unnest(nodes.parents) as read_id
    from readings
    inner join nodes on readings.read_id = nodes.node_id
    where nodes.is_view
),

source_readings as (
    select
        lineage.mart_id,
        readings.read_id as source_id,
        relations.invocation_id,
        relations.invocation_number,
        relations.name,
        loads.loaded_at
    from lineage
    inner join readings on lineage.node_id = readings.reader_id
    inner join relations on lineage.node_id = relations.node_id
    left join {{ schema }}.source_loads as loads
        on relations.invocation_id = loads.invocation_id and readings.read_id = loads.node_id
    where readings.read_id like 'source.%'
),

-- How old the rows are that a test on a node is about. Where a source does not say when it was loaded, its
-- rows are taken to be as new as what was built from them.
input_ages as (
    select
        lineage.mart_id,
        row_ages.node_id,
        row_ages.invocation_number,
        coalesce(nodes.name, row_ages.node_id) as name
    from lineage
    inner join row_ages on lineage.node_id = row_ages.node_id
    inner join nodes on lineage.node_id = nodes.node_id

    union all

    select
        mart_id,
        source_id as node_id,
        max(invocation_number) as invocation_number,
        max_by(name, invocation_number) as name
    from source_readings
    where loaded_at is null
    group by mart_id, source_id
),

test_uses as (
    select distinct
        lineage.mart_id,
        tests.node_id as test_id,
        tests.name,
        tests.severity,
        tests.code_checksum,
        lineage.node_id
    from (
        select
            *,
            unnest(tested_nodes) as tested_id
        from nodes
        where resource_type = 'test'
    ) as tests
    inner join lineage on tests.tested_id = lineage.node_id
),

-- A test also reads relations that it is not attached to: the `to` of a relationship, for example.
test_inputs as (
    select
        test_uses.mart_id,
        test_uses.test_id,
        max(input_ages.invocation_number) as invocation_number,
        max_by(input_ages.name, input_ages.invocation_number) as name
    from test_uses
    inner join nodes on test_uses.test_id = nodes.node_id
    inner join input_ages
        on
            test_uses.mart_id = input_ages.mart_id
            and list_contains(nodes.parents, input_ages.node_id)
    group by all
),

moved_sources as (
    select
        source_readings.mart_id,
        tested.invocation_id,
        min(source_readings.source_id) as source_id
    from source_readings
    inner join {{ schema }}.source_loads as tested
        on
            source_readings.source_id = tested.node_id
            and source_readings.loaded_at <> tested.loaded_at
    group by all
),

test_results as (
    select distinct
        test_uses.mart_id,
        test_uses.test_id,
        test_uses.severity,
        latest.invocation_id,
        latest.status,
        latest.code_checksum,
        case
            when latest.status is null then 'test ' || test_uses.name || ' has not run'
            when latest.invocation_number < test_inputs.invocation_number
                then 'test ' || test_uses.name || ' has not run since ' || test_inputs.name || ' was built'
            when latest.code_checksum is distinct from test_uses.code_checksum
                then 'test ' || test_uses.name || ' has changed since it ran'
            when latest.status = 'fail'
                then 'test ' || test_uses.name || ' failed (' || latest.failure_count || ')'
            when latest.status not in ('pass', 'warn') then 'test ' || test_uses.name || ': ' || latest.status
            when moved_sources.source_id is not null
                then
                    'test ' || test_uses.name || ' ran on another load of source '
                    || split_part(moved_sources.source_id, '.', -1)
        end as gap,
        case
            when gap is not null then gap
            when latest.status = 'warn'
                then 'test ' || test_uses.name || ' warned (' || latest.failure_count || ')'
        end as finding,
        gap is not null and test_uses.severity <> 'warn' as is_blocking,
        case when latest.status = 'skipped' then 4 else 1 end as priority
    from test_uses
    left join latest on test_uses.test_id = latest.node_id
    left join test_inputs
        on test_uses.mart_id = test_inputs.mart_id and test_uses.test_id = test_inputs.test_id
    left join moved_sources
        on test_uses.mart_id = moved_sources.mart_id and latest.invocation_id = moved_sources.invocation_id
),

-- Unit tests count from the node's last build on: one that is gone since then is not waited for.
unit_tests as (
    select
        lineage.mart_id,
        latest.node_id as test_id,
        latest.invocation_id,
        latest.status,
        latest.code_checksum,
        case
            when latest.status <> 'pass'
                then 'unit test ' || split_part(latest.node_id, '.', -1) || ': ' || latest.status
        end as finding
    from lineage
    inner join relations on lineage.node_id = relations.node_id
    inner join latest
        on
            lineage.node_id = latest.tested_node_id
            and latest.resource_type = 'unit_test'
            and relations.invocation_number <= latest.invocation_number
),

reasons as (
    select mart_id, priority, reason from build_reasons
    where reason is not null

    union

    select mart_id, priority, reason from order_reasons

    union

    select mart_id, priority, finding as reason from test_results
    where finding is not null and is_blocking

    union

    select mart_id, 0 as priority, finding as reason from unit_tests
    where finding is not null
),

mart_reasons as (
    select
        mart_id,
        list(reason order by priority, reason) as reasons
    from reasons
    group by mart_id
),

mart_warnings as (
    select
        mart_id,
        list(distinct finding order by finding) as warnings
    from test_results
    where finding is not null and not is_blocking
    group by mart_id
),

evidence as (
    select mart_id, test_id, status, invocation_id, code_checksum from test_results
    where status is not null

    union

    select mart_id, test_id, status, invocation_id, code_checksum from unit_tests
),

mart_tests as (
    select
        mart_id,
        list(
            {'test': test_id, 'status': status, 'invocation': invocation_id, 'code_checksum': code_checksum}
            order by test_id
        ) as tests
    from evidence
    group by mart_id
),

-- The oldest load that any of its relations was built from.
mart_sources as (
    select
        mart_id,
        list({'source': source_id, 'loaded_at': loaded_at} order by source_id) as sources
    from (
        select
            mart_id,
            source_id,
            min(loaded_at) as loaded_at
        from source_readings
        group by mart_id, source_id
    )
    group by mart_id
),

mart_lineage as (
    select
        lineage.mart_id,
        list(
            {'node': relations.node_id, 'code_checksum': relations.built_checksum} order by relations.node_id
        ) as lineage
    from lineage
    inner join relations on lineage.node_id = relations.node_id
    group by lineage.mart_id
)

select
    marts.mart_id,
    relations.name as mart,
    relations.invocation_id as built_by,
    relations.built_checksum as code_checksum,
    relations.is_view,
    coalesce(mart_reasons.reasons, []) as reasons,
    coalesce(mart_warnings.warnings, []) as warnings,
    coalesce(mart_tests.tests, []) as tests,
    coalesce(mart_sources.sources, []) as sources,
    coalesce(mart_lineage.lineage, []) as lineage
from marts
inner join relations on marts.mart_id = relations.node_id
left join mart_reasons on marts.mart_id = mart_reasons.mart_id
left join mart_warnings on marts.mart_id = mart_warnings.mart_id
left join mart_tests on marts.mart_id = mart_tests.mart_id
left join mart_sources on marts.mart_id = mart_sources.mart_id
left join mart_lineage on marts.mart_id = mart_lineage.mart_id
{%- endmacro %}
