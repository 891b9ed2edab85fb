-- dbt's own two macros, which dbt-spark has wrong: an interval may be a sum, what is below a second stays, and a
-- difference counts the hours, days or weeks (from Sunday on) that begin between two moments. 2 March 2013 was a Saturday.
with moments (first_at, second_at, sixty, minutes_apart, hours_apart, days_apart, weeks_apart, months_apart) as (

    values
    (timestamp '2013-03-02 23:59:59.25', timestamp '2013-03-03 00:00:00', 60, 1, 1, 1, 1, 0),
    (timestamp '2013-03-03 00:00:00', timestamp '2013-03-02 23:59:59.25', 60, -1, -1, -1, -1, 0),
    (timestamp '2013-03-03 00:00:00', timestamp '2013-03-03 00:59:59.75', 60, 59, 0, 0, 0, 0),
    (timestamp '2013-03-03 00:00:30', timestamp '2013-03-03 00:01:29', 60, 1, 0, 0, 0, 0),
    (timestamp '2013-03-09 12:00:00', timestamp '2013-03-10 12:00:00', 60, 1440, 24, 1, 1, 0),
    (timestamp '2013-01-31 00:00:00', timestamp '2013-02-01 00:00:00', 60, 1440, 24, 1, 0, 1),
    (timestamp '2013-02-28 00:00:00', timestamp '2013-01-30 23:00:00', 60, -40380, -673, -29, -4, -1),
    (timestamp '2013-03-02 00:00:00', cast(null as timestamp), 60, null, null, null, null, null)

),

found as (

    select
        *,
        {{ dbt.dateadd('minute', 'sixty + 1440', 'first_at') }} as a_day_and_an_hour_later,
        {{ dbt.dateadd('day', -28, 'first_at') }} as four_weeks_before,
        {{ dbt.datediff('first_at', 'second_at', 'minute') }} as found_minutes,
        {{ dbt.datediff('first_at', 'second_at', 'hour') }} as found_hours,
        {{ dbt.datediff('first_at', 'second_at', 'day') }} as found_days,
        {{ dbt.datediff('first_at', 'second_at', 'week') }} as found_weeks,
        {{ dbt.datediff('first_at', 'second_at', 'month') }} as found_months
    from moments

)

select *
from found
where
    a_day_and_an_hour_later is distinct from first_at + interval 25 hour
    or four_weeks_before is distinct from first_at - interval 28 day
    or found_minutes is distinct from minutes_apart
    or found_hours is distinct from hours_apart
    or found_days is distinct from days_apart
    or found_weeks is distinct from weeks_apart
    or found_months is distinct from months_apart
