with flights as (

    select * from {{ ref('stg_nycflights13__flights') }}
    where {{ martfeast.in_increment('known_at') }}

),

airports as (

    select * from {{ ref('int_airports') }}

),

with_time_zone as (

    select
        flights.*,
        airports.time_zone as destination_time_zone
    from flights
    left join airports on flights.destination_airport_code = airports.airport_code

),

-- The schedule names a clock time at the destination and no date: the arrival is the first such
-- time after the departure. The departure's own date there is the first to try.
departure_day_at_destination as (

    select
        *,
        {{ dbt.date_trunc(
            'day', utc_to_local('scheduled_departure_at', 'destination_time_zone')
        ) }} as first_day
    from with_time_zone

),

local_arrivals as (

    select
        *,
        {{ dbt.dateadd('minute', 'scheduled_arrival_clock_minutes', 'first_day') }}
            as same_day_arrival_local,
        {{ dbt.dateadd('minute', 'scheduled_arrival_clock_minutes + 1440', 'first_day') }}
            as next_day_arrival_local
    from departure_day_at_destination

),

utc_arrivals as (

    select
        *,
        {{ local_to_utc('same_day_arrival_local', 'destination_time_zone') }} as same_day_arrival_at,
        {{ local_to_utc('next_day_arrival_local', 'destination_time_zone') }} as next_day_arrival_at
    from local_arrivals

),

first_arrivals as (

    select
        *,
        case
            when same_day_arrival_at > scheduled_departure_at then same_day_arrival_at
            else next_day_arrival_at
        end as scheduled_arrival_at
    from utc_arrivals

)

select
    flight_id,
    flight_date,
    carrier_code,
    flight_number,
    tail_number,
    origin_airport_code,
    destination_airport_code,
    origin_airport_code || '-' || destination_airport_code as route_code,
    scheduled_departure_at,
    scheduled_arrival_at,
    known_at,
    scheduled_departure_clock_minutes,
    cast({{ dbt.datediff('scheduled_departure_at', 'scheduled_arrival_at', 'minute') }} as integer)
        as scheduled_block_minutes,
    distance_miles
from first_arrivals
