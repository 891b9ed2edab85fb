with results as (

    select * from {{ source('martfeast', 'results') }}

),

invocations as (

    select * from {{ source('martfeast', 'invocations') }}

),

nodes as (

    select * from {{ source('martfeast', 'nodes') }}

),

-- A test of several models has a row for each; what a unit test is attached to stands in its result.
tested as (

    select
        node_id,
        name as test_name,
        {{ each_of('tested_nodes') }} as tested_node_id
    from nodes
    where resource_type = 'test'

    union all

    select distinct
        node_id,
        split_part(node_id, '.', -1) as test_name,
        tested_node_id
    from results
    where resource_type = 'unit_test'

)

select
    invocations.invocation_number,
    results.invocation_id,
    invocations.target_name,
    results.node_id as test_id,
    tested.test_name,
    tested.tested_node_id,
    tested_node.name as tested_name,
    coalesce(tested_node.is_mart, false) as is_mart,
    tested_node.owner,
    results.status,
    results.failure_count,
    coalesce(results.started_at, invocations.started_at) as tested_at,
    results.tested_from,
    results.execution_seconds
from results
inner join invocations on results.invocation_id = invocations.invocation_id
inner join tested on results.node_id = tested.node_id
left join nodes as tested_node on tested.tested_node_id = tested_node.node_id
