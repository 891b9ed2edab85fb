-- Both ends are in; a stop between two steps ends with the step before it; a stop before the start gives nothing.
with spans (span, started_at, stopped_at, expected_count) as (

    values
    ('both ends', timestamp '2013-03-09 22:00:00', timestamp '2013-03-10 01:00:00', 4),
    ('one moment', timestamp '2013-03-10 00:00:00', timestamp '2013-03-10 00:00:00', 1),
    ('between two steps', timestamp '2013-03-10 00:00:00', timestamp '2013-03-10 01:59:59', 2),
    ('backwards', timestamp '2013-03-10 01:00:00', timestamp '2013-03-10 00:00:00', 0)

),

steps as (

    select
        span,
        {{ timestamp_series('started_at', 'stopped_at', 'hour') }} as step_at
    from spans

),

counted as (

    select
        span,
        count(*) as found_count,
        count(distinct step_at) as distinct_count,
        min(step_at) as first_at
    from steps
    group by span

)

select
    spans.span,
    spans.expected_count,
    counted.found_count
from spans
left join counted on spans.span = counted.span
where
    coalesce(counted.found_count, 0) <> spans.expected_count
    or counted.found_count <> counted.distinct_count
    or counted.first_at <> spans.started_at
