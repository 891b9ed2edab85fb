-- Both ends are in; a stop between two steps ends with the step before it; a stop before the start gives nothing.
with spans (span, started_at, stopped_at, expected_hours, expected_days) as (

    values
    ('both ends', timestamp '2013-03-09 22:00:00', timestamp '2013-03-10 01:00:00', 4, 1),
    ('one moment', timestamp '2013-03-10 00:00:00', timestamp '2013-03-10 00:00:00', 1, 1),
    ('between two steps', timestamp '2013-03-10 00:00:00', timestamp '2013-03-10 01:59:59', 2, 1),
    ('three days', timestamp '2013-03-09 00:00:00', timestamp '2013-03-11 00:00:00', 49, 3),
    ('backwards', timestamp '2013-03-10 01:00:00', timestamp '2013-03-10 00:00:00', 0, 0)

),

hourly as (

    select
        span,
        {{ martfeast.timestamp_series('started_at', 'stopped_at', 'hour') }} as step_at
    from spans

),

daily as (

    select
        span,
        {{ martfeast.timestamp_series('started_at', 'stopped_at', 'day') }} as step_at
    from spans

),

steps as (

    select
        'hour' as step,
        span,
        step_at
    from hourly

    union all

    select
        'day' as step,
        span,
        step_at
    from daily

),

counted as (

    select
        step,
        span,
        count(*) as found_count,
        count(distinct step_at) as distinct_count,
        min(step_at) as first_at
    from steps
    group by step, span

),

expected as (

    select
        'hour' as step,
        span,
        started_at,
        expected_hours as expected_count
    from spans

    union all

    select
        'day' as step,
        span,
        started_at,
        expected_days as expected_count
    from spans

)

select
    expected.step,
    expected.span,
    expected.expected_count,
    counted.found_count
from expected
left join counted
    on
        expected.step = counted.step
        and expected.span = counted.span
where
    coalesce(counted.found_count, 0) <> expected.expected_count
    or counted.found_count <> counted.distinct_count
    or counted.first_at <> expected.started_at
