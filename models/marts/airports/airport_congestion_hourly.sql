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

),

scheduled_hours as (

    select
        origin_airport_code,
        scheduled_by,
        count(*) as scheduled_departure_count
    from scheduled_stamped
    group by origin_airport_code, scheduled_by

),

-- Looking ahead is safe for the schedule alone: it is published weeks before the flights.
scheduled as (

    select
        windows.*,
        sum(scheduled_hours.scheduled_departure_count) over next_3_hours
            as scheduled_departure_count_next_3h
    from windows
    left join scheduled_hours
        on
            windows.origin_airport_code = scheduled_hours.origin_airport_code
            and windows.known_at = scheduled_hours.scheduled_by
    window
        next_3_hours as (
            partition by windows.origin_airport_code
            order by windows.known_at
            range between interval 1 hour following and interval 3 hour following
        )

)

select
    origin_airport_code,
    known_at,
    airport_departure_count_3h,
    airport_mean_departure_delay_minutes_3h,
    airport_mean_departure_delay_minutes_24h,
    airport_cancellation_count_24h,
    cast(coalesce(scheduled_departure_count_next_3h, 0) as bigint)
        as scheduled_departure_count_next_3h
from scheduled
