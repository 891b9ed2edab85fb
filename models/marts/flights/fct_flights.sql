with schedules as (

    select * from {{ ref('int_flight_schedules') }}
    where {{ martfeast.in_increment('scheduled_departure_at') }}

),

departures as (

    select * from {{ ref('int_flight_departures') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

outcomes as (

    select * from {{ ref('int_flight_outcomes') }}

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
    coalesce(outcomes.outcome, 'not_yet_known') as outcome,
    departures.departure_delay_minutes,
    arrivals.arrival_delay_minutes,
    arrivals.is_late_arrival,
    arrivals.air_time_minutes,
    schedules.scheduled_block_minutes,
    schedules.distance_miles,
    outcomes.known_at as outcome_known_at
from schedules
left join outcomes on schedules.flight_id = outcomes.flight_id
left join departures on schedules.flight_id = departures.flight_id
left join arrivals on schedules.flight_id = arrivals.flight_id
