with schedules as (

    select * from {{ ref('int_flight_schedules') }}
    where
        {{ martfeast.in_increment(
            dbt.dateadd('minute', -var('predicted_before_departure_minutes'), 'scheduled_departure_at')
        ) }}

),

airports as (

    select * from {{ ref('int_airports') }}

),

registered_aircraft as (

    select * from {{ ref('stg_nycflights13__planes') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

outcomes as (

    select * from {{ ref('int_flight_outcomes') }}

)

select
    schedules.flight_id,
    schedules.carrier_code,
    schedules.origin_airport_code,
    schedules.route_code,
    schedules.tail_number,
    {{ dbt.dateadd(
        'minute', -var('predicted_before_departure_minutes'), 'schedules.scheduled_departure_at'
    ) }} as predicted_at,
    arrivals.is_late_arrival,
    outcomes.known_at as label_known_at,
    case
        when outcomes.outcome is null then 'not_yet_known'
        when outcomes.outcome <> 'flown' then outcomes.outcome
    end as no_label_reason,
    airports.region as destination_region,
    case
        when schedules.scheduled_departure_clock_minutes < 360 then 'night'
        when schedules.scheduled_departure_clock_minutes < 720 then 'morning'
        when schedules.scheduled_departure_clock_minutes < 1080 then 'afternoon'
        else 'evening'
    end as departure_hour_band,
    registered_aircraft.tail_number is not null as is_aircraft_in_registry
from schedules
left join outcomes on schedules.flight_id = outcomes.flight_id
left join arrivals on schedules.flight_id = arrivals.flight_id
left join airports on schedules.destination_airport_code = airports.airport_code
left join registered_aircraft on schedules.tail_number = registered_aircraft.tail_number
