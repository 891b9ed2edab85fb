with events as (

    select * from {{ ref('int_flight_events_hourly') }}

),

hours as (

    select * from {{ ref('int_hours') }}

),

carrier_airport_hours as (

    select
        carrier_code,
        origin_airport_code,
        known_at,
        sum(departure_count) as departure_count,
        sum(departure_delay_minutes) as departure_delay_minutes,
        sum(cancellation_count) as cancellation_count
    from events
    group by carrier_code, origin_airport_code, known_at

),

spine as (

    {{ spine('carrier_airport_hours', ['carrier_code', 'origin_airport_code']) }}

),

rolling as (

    select
        spine.carrier_code,
        spine.origin_airport_code,
        spine.known_at,
        sum(carrier_airport_hours.departure_count) over last_3_hours as departure_count_3h,
        sum(carrier_airport_hours.departure_delay_minutes) over last_3_hours
            as departure_delay_minutes_3h,
        sum(carrier_airport_hours.departure_count) over last_24_hours as departure_count_24h,
        sum(carrier_airport_hours.cancellation_count) over last_24_hours as cancellation_count_24h
    from spine
    left join carrier_airport_hours
        on
            spine.carrier_code = carrier_airport_hours.carrier_code
            and spine.origin_airport_code = carrier_airport_hours.origin_airport_code
            and spine.known_at = carrier_airport_hours.known_at
    window
        last_3_hours as {{ rolling_window(
            'spine.carrier_code, spine.origin_airport_code', 'spine.known_at', 3
        ) }},
        last_24_hours as {{ rolling_window(
            'spine.carrier_code, spine.origin_airport_code', 'spine.known_at', 24
        ) }}

)

select
    carrier_code,
    origin_airport_code,
    known_at,
    cast(coalesce(departure_count_3h, 0) as bigint) as carrier_airport_departure_count_3h,
    cast(departure_delay_minutes_3h / nullif(departure_count_3h, 0) as double)
        as carrier_airport_mean_departure_delay_minutes_3h,
    cast(coalesce(cancellation_count_24h, 0) as bigint)
        as carrier_airport_cancellation_count_24h,
    cast(
        cancellation_count_24h / nullif(departure_count_24h + cancellation_count_24h, 0) as double
    ) as carrier_airport_cancelled_share_24h
from rolling
