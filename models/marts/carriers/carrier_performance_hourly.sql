with events as (

    select * from {{ ref('int_flight_events_hourly') }}

),

hours as (

    select * from {{ ref('int_hours') }}

),

carrier_hours as (

    select
        carrier_code,
        known_at,
        sum(departure_count) as departure_count,
        sum(departure_delay_minutes) as departure_delay_minutes,
        sum(arrival_count) as arrival_count,
        sum(arrival_delay_minutes) as arrival_delay_minutes,
        sum(late_arrival_count) as late_arrival_count,
        sum(cancellation_count) as cancellation_count
    from events
    group by carrier_code, known_at

),

spine as (

    {{ spine('carrier_hours', ['carrier_code']) }}

),

rolling as (

    select
        spine.carrier_code,
        spine.known_at,
        sum(carrier_hours.departure_count) over last_24_hours as departure_count_24h,
        sum(carrier_hours.departure_delay_minutes) over last_24_hours as departure_delay_minutes_24h,
        sum(carrier_hours.cancellation_count) over last_24_hours as cancellation_count_24h,
        sum(carrier_hours.arrival_count) over last_24_hours as arrival_count_24h,
        sum(carrier_hours.arrival_delay_minutes) over last_24_hours as arrival_delay_minutes_24h,
        sum(carrier_hours.late_arrival_count) over last_24_hours as late_arrival_count_24h,
        sum(carrier_hours.arrival_count) over last_7_days as arrival_count_7d,
        sum(carrier_hours.late_arrival_count) over last_7_days as late_arrival_count_7d
    from spine
    left join carrier_hours
        on
            spine.carrier_code = carrier_hours.carrier_code
            and spine.known_at = carrier_hours.known_at
    window
        last_24_hours as {{ rolling_window('spine.carrier_code', 'spine.known_at', 24) }},
        last_7_days as {{ rolling_window('spine.carrier_code', 'spine.known_at', 168) }}

)

select
    carrier_code,
    known_at,
    cast(coalesce(departure_count_24h, 0) as bigint) as carrier_departure_count_24h,
    cast(departure_delay_minutes_24h / nullif(departure_count_24h, 0) as double)
        as carrier_mean_departure_delay_minutes_24h,
    cast(coalesce(cancellation_count_24h, 0) as bigint) as carrier_cancellation_count_24h,
    cast(coalesce(arrival_count_24h, 0) as bigint) as carrier_arrival_count_24h,
    cast(arrival_delay_minutes_24h / nullif(arrival_count_24h, 0) as double)
        as carrier_mean_arrival_delay_minutes_24h,
    cast(late_arrival_count_24h / nullif(arrival_count_24h, 0) as double)
        as carrier_late_arrival_share_24h,
    cast(late_arrival_count_7d / nullif(arrival_count_7d, 0) as double) as carrier_late_arrival_share_7d
from rolling
