with test_history as (

    select * from {{ ref('test_history') }}
    where status in ('pass', 'warn', 'fail', 'error')

),

-- A new stretch begins wherever a test changes between failing and not failing.
flagged as (

    select
        *,
        status in ('fail', 'error') as is_failing,
        case
            when
                (status in ('fail', 'error')) is distinct from lag(status in ('fail', 'error')) over (
                    partition by target_name, test_id, tested_node_id order by invocation_number
                )
                then 1
            else 0
        end as is_change
    from test_history

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
    cast(date_diff('second', first_at, next_at) / 60.0 as double) as minutes_to_recover,
    invocation_count as failing_invocation_count,
    most_failures
from followed
where is_failing
