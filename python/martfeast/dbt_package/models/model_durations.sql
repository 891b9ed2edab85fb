with results as (

    select * from {{ source('martfeast', 'results') }}
    where
        resource_type in ('model', 'seed', 'snapshot')
        and status = 'success'

),

invocations as (

    select * from {{ source('martfeast', 'invocations') }}
    where not is_partial

)

select
    results.node_id,
    split_part(results.node_id, '.', -1) as name,
    invocations.target_name,
    count(*) as build_count,
    avg(results.execution_seconds) as mean_seconds,
    max(results.execution_seconds) as longest_seconds,
    max_by(results.execution_seconds, invocations.invocation_number) as last_seconds,
    max_by(results.completed_at, invocations.invocation_number) as last_built_at
from results
inner join invocations on results.invocation_id = invocations.invocation_id
group by results.node_id, invocations.target_name
