with test_history as (

    select * from {{ ref('test_history') }}
    where status in ('pass', 'warn', 'fail', 'error')

),

judged as (

    select
        *,
        status in ('fail', 'error') as is_failing
    from test_history

),

followed_runs as (

    select
        *,
        lag(is_failing) over (
            partition by target_name, test_id, tested_node_id order by invocation_number
        ) as was_failing
    from judged

),

-- A new stretch begins wherever a test changes between failing and not failing.
flagged as (

    select
        *,
        case when (is_failing is distinct from was_failing) then 1 else 0 end as is_change
    from followed_runs

),

stretches as (

    select
        *,
        sum(is_change) over (
            partition by target_name, test_id, tested_node_id order by invocation_number
        ) as stretch_number
    from flagged

),

spans as (

    select
        target_name,
        test_id,
        test_name,
        tested_node_id,
        tested_name,
        owner,
        stretch_number,
        is_failing,
        min(tested_at) as first_at,
        count(*) as invocation_count,
        max(failure_count) as most_failures
    from stretches
    group by all

),

followed as (

    select
        *,
        lead(first_at) over (
            partition by target_name, test_id, tested_node_id order by stretch_number
        ) as next_at
    from spans

)

select
    target_name,
    test_id,
    test_name,
    tested_node_id,
    tested_name,
    owner,
    first_at as failing_from_at,
    next_at as recovered_at,
    cast({{ seconds_between('first_at', 'next_at') }} / 60.0 as double) as minutes_to_recover,
    invocation_count as failing_invocation_count,
    most_failures
from followed
where is_failing
