with flights as (

    select * from {{ ref('stg_nycflights13__flights') }}

),

schedules as (

    select * from {{ ref('int_flight_schedules') }}

)

select
    schedules.flight_id,
    schedules.carrier_code,
    schedules.origin_airport_code,
    schedules.route_code,
    {{ dbt.dateadd(
        'minute',
        'flights.departure_delay_minutes + '
        ~ var('diversion_known_after_expected_arrival_minutes'),
        'schedules.scheduled_arrival_at'
    ) }} as known_at
from schedules
inner join flights on schedules.flight_id = flights.flight_id
where
    flights.departure_delay_minutes is not null
    and flights.arrival_delay_minutes is null
    -- The scheduled arrival is the first time of its clock after the departure: a day later at most.
    and {{ martfeast.in_increment(
        dbt.dateadd(
            'minute',
            'flights.departure_delay_minutes + '
            ~ var('diversion_known_after_expected_arrival_minutes'),
            'flights.scheduled_departure_at'
        ),
        look_back='25 hours'
    ) }}
