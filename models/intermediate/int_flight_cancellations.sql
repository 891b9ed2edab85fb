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
        var('cancellation_known_after_scheduled_departure_minutes'),
        'schedules.scheduled_departure_at'
    ) }} as known_at
from schedules
inner join flights on schedules.flight_id = flights.flight_id
where
    flights.departure_delay_minutes is null
    and {{ martfeast.in_increment(
        dbt.dateadd(
            'minute',
            var('cancellation_known_after_scheduled_departure_minutes'),
            'flights.scheduled_departure_at'
        )
    ) }}
