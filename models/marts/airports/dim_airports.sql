with airports as (

    select * from {{ ref('int_airports') }}

),

origins as (

    select distinct origin_airport_code from {{ ref('int_flight_schedules') }}

)

select
    airports.airport_code,
    airports.airport_name,
    airports.latitude_degrees,
    airports.longitude_degrees,
    airports.altitude_feet,
    airports.time_zone,
    origins.origin_airport_code is not null as is_origin
from airports
left join origins on airports.airport_code = origins.origin_airport_code
