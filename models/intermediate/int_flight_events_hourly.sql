with departures as (

    select * from {{ ref('int_flight_departures') }}
    where {{ martfeast.in_increment('known_at', look_back='1 hour') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}
    where {{ martfeast.in_increment('known_at', look_back='1 hour') }}

),

cancellations as (

    select * from {{ ref('int_flight_cancellations') }}
    where {{ martfeast.in_increment('known_at', look_back='1 hour') }}

),

events as (

    select
        carrier_code,
        origin_airport_code,
        route_code,
        known_at as event_known_at,
        1 as departure_count,
        departure_delay_minutes,
        0 as arrival_count,
        0 as arrival_delay_minutes,
        0 as late_arrival_count,
        0 as cancellation_count
    from departures

    union all

    select
        carrier_code,
        origin_airport_code,
        route_code,
        known_at as event_known_at,
        0 as departure_count,
        0 as departure_delay_minutes,
        1 as arrival_count,
        arrival_delay_minutes,
        case when is_late_arrival then 1 else 0 end as late_arrival_count,
        0 as cancellation_count
    from arrivals

    union all

    select
        carrier_code,
        origin_airport_code,
        route_code,
        known_at as event_known_at,
        0 as departure_count,
        0 as departure_delay_minutes,
        0 as arrival_count,
        0 as arrival_delay_minutes,
        0 as late_arrival_count,
        1 as cancellation_count
    from cancellations

),

stamped as (

    select
        *,
        {{ martfeast.window_end('event_known_at', 'hour') }} as known_at
    from events

)

select
    carrier_code,
    origin_airport_code,
    route_code,
    known_at,
    cast(sum(departure_count) as bigint) as departure_count,
    cast(sum(departure_delay_minutes) as bigint) as departure_delay_minutes,
    cast(sum(arrival_count) as bigint) as arrival_count,
    cast(sum(arrival_delay_minutes) as bigint) as arrival_delay_minutes,
    cast(sum(late_arrival_count) as bigint) as late_arrival_count,
    cast(sum(cancellation_count) as bigint) as cancellation_count
from stamped
group by carrier_code, origin_airport_code, route_code, known_at
