with events as (

    select * from {{ ref('int_flight_events_hourly') }}

),

schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

hours as (

    select * from {{ ref('int_hours') }}

),

airport_hours as (

    select
        origin_airport_code,
        known_at,
        sum(departure_count) as departure_count,
        sum(departure_delay_minutes) as departure_delay_minutes,
        sum(cancellation_count) as cancellation_count
    from events
    group by origin_airport_code, known_at

),

scheduled_stamped as (

    select
        origin_airport_code,
        {{ window_end('scheduled_departure_at', 'hour') }} as scheduled_by
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

spine as (

    {{ spine('airport_hours', ['origin_airport_code']) }}

),

-- Looking ahead is safe for the schedule alone: it is published weeks before the flights.
rolling as (

    select
        spine.origin_airport_code,
        spine.known_at,
        sum(airport_hours.departure_count) over last_3_hours as departure_count_3h,
        sum(airport_hours.departure_delay_minutes) over last_3_hours as departure_delay_minutes_3h,
        sum(airport_hours.departure_count) over last_24_hours as departure_count_24h,
        sum(airport_hours.departure_delay_minutes) over last_24_hours
            as departure_delay_minutes_24h,
        sum(airport_hours.cancellation_count) over last_24_hours as cancellation_count_24h,
        sum(scheduled_hours.scheduled_departure_count) over next_3_hours
            as scheduled_departure_count_next_3h
    from spine
    left join airport_hours
        on
            spine.origin_airport_code = airport_hours.origin_airport_code
            and spine.known_at = airport_hours.known_at
    left join scheduled_hours
        on
            spine.origin_airport_code = scheduled_hours.origin_airport_code
            and spine.known_at = scheduled_hours.scheduled_by
    window
        last_3_hours as {{ rolling_window('spine.origin_airport_code', 'spine.known_at', 3) }},
        last_24_hours as {{ rolling_window('spine.origin_airport_code', 'spine.known_at', 24) }},
        next_3_hours as (
            partition by spine.origin_airport_code
            order by spine.known_at
            range between interval 1 hour following and interval 3 hour following
        )

)

select
    origin_airport_code,
    known_at,
    cast(coalesce(departure_count_3h, 0) as bigint) as airport_departure_count_3h,
    cast(departure_delay_minutes_3h / nullif(departure_count_3h, 0) as double)
        as airport_mean_departure_delay_minutes_3h,
    cast(departure_delay_minutes_24h / nullif(departure_count_24h, 0) as double)
        as airport_mean_departure_delay_minutes_24h,
    cast(coalesce(cancellation_count_24h, 0) as bigint) as airport_cancellation_count_24h,
    cast(coalesce(scheduled_departure_count_next_3h, 0) as bigint)
        as scheduled_departure_count_next_3h
from rolling
