with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

airports as (

    select * from {{ ref('int_airports') }}

),

registered_aircraft as (

    select * from {{ ref('stg_aircraft') }}

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
    schedules.carrier_code,
    schedules.origin_airport_code,
    schedules.route_code,
    schedules.tail_number,
    {{ dbt.dateadd(
        'minute', -var('predicted_before_departure_minutes'), 'schedules.scheduled_departure_at'
    ) }} as predicted_at,
    arrivals.is_late_arrival,
    coalesce(arrivals.known_at, cancellations.known_at, diversions.known_at) as label_known_at,
    case
        when arrivals.flight_id is not null then null
        when cancellations.flight_id is not null then 'cancelled'
        when diversions.flight_id is not null then 'diverted'
        else 'not_yet_known'
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
left join arrivals on schedules.flight_id = arrivals.flight_id
left join cancellations on schedules.flight_id = cancellations.flight_id
left join diversions on schedules.flight_id = diversions.flight_id
left join airports on schedules.destination_airport_code = airports.airport_code
left join registered_aircraft on schedules.tail_number = registered_aircraft.tail_number
