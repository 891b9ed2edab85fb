with schedules as (

    select * from {{ ref('int_flight_schedules') }}

)

select
    route_code,
    origin_airport_code,
    destination_airport_code,
    max(distance_miles) as distance_miles
from schedules
group by route_code, origin_airport_code, destination_airport_code
