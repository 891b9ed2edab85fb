with test_history as (

    select * from {{ ref('test_history') }}

)

select
    tested_node_id as mart_id,
    tested_name as mart,
    owner,
    count(*) filter (where status <> 'skipped') as test_run_count,
    count(*) filter (where status = 'pass') as passed_count,
    count(*) filter (where status in ('fail', 'error')) as failed_count,
    count(*) filter (where status = 'warn') as warned_count,
    cast(
        count(*) filter (where status = 'pass')
        / nullif(count(*) filter (where status <> 'skipped'), 0) as double
    ) as pass_share,
    min(tested_at) as first_tested_at,
    max(tested_at) as last_tested_at
from test_history
where is_mart
group by tested_node_id, tested_name, owner
