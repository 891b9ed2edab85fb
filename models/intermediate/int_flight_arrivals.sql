with flights as (

    select * from {{ ref('stg_flights') }}

),

schedules as (

    select * from {{ ref('int_flight_schedules') }}

)

select
    schedules.flight_id,
    schedules.carrier_code,
    schedules.origin_airport_code,
    schedules.destination_airport_code,
    schedules.route_code,
    schedules.tail_number,
    flights.arrival_delay_minutes,
    flights.arrival_delay_minutes >= {{ var('late_arrival_from_minutes') }} as is_late_arrival,
    flights.air_time_minutes,
    {{ dbt.dateadd('minute', 'flights.arrival_delay_minutes', 'schedules.scheduled_arrival_at') }}
        as arrived_at,
    {{ dbt.dateadd('minute', 'flights.arrival_delay_minutes', 'schedules.scheduled_arrival_at') }}
        as known_at
from schedules
inner join flights on schedules.flight_id = flights.flight_id
where flights.arrival_delay_minutes is not null
