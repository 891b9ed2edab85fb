-- Every time we derived, put back on the local clock, shows what the source's clock showed. The two are
-- independent: the derivation adds delays to the schedule and never reads the actual clock times.
-- One arrival is let through: B6 35 of 9 March 2013 is said to have arrived at 02:03 in a night when
-- clocks went from 02:00 to 03:00. The years that `--scale` adds keep 2013's clock readings on other years'
-- clock changes, so they are left out.
with flights as (

    select * from {{ ref('stg_nycflights13__flights') }}

),

outcomes as (

    select * from {{ ref('fct_flights') }}

),

airports as (

    select * from {{ ref('int_airports') }}

),

local_times as (

    select
        outcomes.flight_id,
        flights.scheduled_departure_clock_minutes,
        flights.departure_clock_minutes % 1440 as departure_clock_minutes,
        flights.arrival_clock_minutes % 1440 as arrival_clock_minutes,
        {{ utc_to_local('outcomes.scheduled_departure_at', 'origins.time_zone') }}
            as scheduled_departure_local,
        {{ utc_to_local('outcomes.departed_at', 'origins.time_zone') }} as departed_local,
        {{ utc_to_local('outcomes.arrived_at', 'destinations.time_zone') }} as arrived_local
    from outcomes
    inner join flights on outcomes.flight_id = flights.flight_id
    left join airports as origins on outcomes.origin_airport_code = origins.airport_code
    left join airports as destinations
        on outcomes.destination_airport_code = destinations.airport_code
    where outcomes.flight_date < date '2014-01-01'

)

select *
from local_times
where
    extract(hour from scheduled_departure_local) * 60
    + extract(minute from scheduled_departure_local)
    is distinct from scheduled_departure_clock_minutes
    or extract(hour from departed_local) * 60 + extract(minute from departed_local)
    is distinct from departure_clock_minutes
    or (
        arrived_local is not null
        and extract(hour from arrived_local) * 60 + extract(minute from arrived_local)
        is distinct from arrival_clock_minutes
        and flight_id <> 'B635-JFK-20130309'
    )
