with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

departures as (

    select * from {{ ref('int_flight_departures') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

cancellations as (

    select * from {{ ref('int_flight_cancellations') }}

),

diversions as (

    select * from {{ ref('int_flight_diversions') }}

)

select
    schedules.flight_id,
    schedules.flight_date,
    schedules.carrier_code,
    schedules.flight_number,
    schedules.tail_number,
    schedules.origin_airport_code,
    schedules.destination_airport_code,
    schedules.route_code,
    schedules.scheduled_departure_at,
    schedules.scheduled_arrival_at,
    departures.departed_at,
    arrivals.arrived_at,
    case
        when arrivals.flight_id is not null then 'flown'
        when cancellations.flight_id is not null then 'cancelled'
        when diversions.flight_id is not null then 'diverted'
        else 'not_yet_known'
    end as outcome,
    departures.departure_delay_minutes,
    arrivals.arrival_delay_minutes,
    arrivals.is_late_arrival,
    arrivals.air_time_minutes,
    schedules.scheduled_block_minutes,
    schedules.distance_miles,
    coalesce(arrivals.known_at, cancellations.known_at, diversions.known_at) as outcome_known_at
from schedules
left join departures on schedules.flight_id = departures.flight_id
left join arrivals on schedules.flight_id = arrivals.flight_id
left join cancellations on schedules.flight_id = cancellations.flight_id
left join diversions on schedules.flight_id = diversions.flight_id
