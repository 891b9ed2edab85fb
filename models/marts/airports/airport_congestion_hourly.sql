with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

windows as (

    {{ martfeast.windowed_features(
        facts=ref('int_flight_events_hourly'),
        entity=['origin_airport_code'],
        known_at='known_at',
        spine=ref('int_hours'),
        spine_moment='hour_at',
        windows=['3 hours'],
        aggregations=[
            {'name': 'airport_departure_count', 'function': 'sum', 'of': 'departure_count', 'type': 'bigint'},
            {'name': 'airport_mean_departure_delay_minutes', 'function': 'mean',
             'of': 'departure_delay_minutes', 'per': 'departure_count', 'windows': ['3 hours', '24 hours']},
            {'name': 'airport_cancellation_count', 'function': 'sum',
             'of': 'cancellation_count', 'type': 'bigint', 'windows': ['24 hours']},
        ]
    ) }}

),

scheduled_stamped as (

    select
        origin_airport_code,
        {{ martfeast.window_end('scheduled_departure_at', 'hour') }} as scheduled_by
    from schedules
    where not {{ martfeast.before_increment('scheduled_departure_at') }}

),

hours_ahead (hours) as (

    values (1), (2), (3)

),

-- Looking ahead is safe for the schedule alone: it is published weeks before the flights. A flight counts at each of
-- the three hours before it, whether or not those are rows that this run makes.
looked_ahead as (

    select
        scheduled_stamped.origin_airport_code,
        {{ dbt.dateadd('hour', '-hours_ahead.hours', 'scheduled_stamped.scheduled_by') }} as known_at
    from scheduled_stamped
    cross join hours_ahead

),

scheduled as (

    select
        origin_airport_code,
        known_at,
        count(*) as scheduled_departure_count_next_3h
    from looked_ahead
    group by origin_airport_code, known_at

)

select
    windows.origin_airport_code,
    windows.known_at,
    windows.airport_departure_count_3h,
    windows.airport_mean_departure_delay_minutes_3h,
    windows.airport_mean_departure_delay_minutes_24h,
    windows.airport_cancellation_count_24h,
    cast(coalesce(scheduled.scheduled_departure_count_next_3h, 0) as bigint)
        as scheduled_departure_count_next_3h
from windows
left join scheduled
    on
        windows.origin_airport_code = scheduled.origin_airport_code
        and windows.known_at = scheduled.known_at
