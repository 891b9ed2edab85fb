with flights as (

    select * from {{ ref('stg_nycflights13__flights') }}

),

schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

departed as (

    select
        schedules.flight_id,
        schedules.carrier_code,
        schedules.origin_airport_code,
        schedules.route_code,
        schedules.tail_number,
        flights.departure_delay_minutes,
        {{ dbt.dateadd('minute', 'flights.departure_delay_minutes', 'schedules.scheduled_departure_at') }}
            as departed_at
    from schedules
    inner join flights on schedules.flight_id = flights.flight_id
    where
        flights.departure_delay_minutes is not null
        and {{ martfeast.in_increment(
            dbt.dateadd('minute', 'flights.departure_delay_minutes', 'flights.scheduled_departure_at')
        ) }}

)

select
    flight_id,
    carrier_code,
    origin_airport_code,
    route_code,
    tail_number,
    departure_delay_minutes,
    departed_at,
    departed_at as known_at
from departed
