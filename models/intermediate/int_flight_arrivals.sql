with flights as (

    select * from {{ ref('stg_nycflights13__flights') }}

),

schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

arrived as (

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
            as arrived_at
    from schedules
    inner join flights on schedules.flight_id = flights.flight_id
    where
        flights.arrival_delay_minutes is not null
        -- The scheduled arrival is the first time of its clock after the departure: a day later at most.
        and {{ martfeast.in_increment(
            dbt.dateadd('minute', 'flights.arrival_delay_minutes', 'flights.scheduled_departure_at'),
            look_back='25 hours'
        ) }}

)

select
    flight_id,
    carrier_code,
    origin_airport_code,
    destination_airport_code,
    route_code,
    tail_number,
    arrival_delay_minutes,
    is_late_arrival,
    air_time_minutes,
    arrived_at,
    arrived_at as known_at
from arrived
