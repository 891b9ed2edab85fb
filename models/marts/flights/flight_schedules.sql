with schedules as (

    select * from {{ ref('int_flight_schedules') }}
    where {{ martfeast.in_increment('known_at') }}

)

select
    flight_id,
    known_at,
    cast(floor(scheduled_departure_clock_minutes / 60) as integer)
        as scheduled_departure_hour_local,
    cast({{ iso_day_of_week('flight_date') }} as integer) as iso_day_of_week_local,
    cast(extract(month from flight_date) as integer) as month_of_year_local,
    scheduled_block_minutes,
    distance_miles
from schedules
