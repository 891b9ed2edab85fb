-- Gate to gate, in UTC, is longer than the time in the air and no more than four hours longer. A wrong
-- date or zone at either end shows here. The years that `--scale` adds are left out, as in
-- clocks_agree_with_utc.
with flights as (

    select * from {{ ref('fct_flights') }}

)

select
    flight_id,
    departed_at,
    arrived_at,
    air_time_minutes
from flights
where
    outcome = 'flown'
    and flight_date < date '2014-01-01'
    and {{ dbt.datediff('departed_at', 'arrived_at', 'minute') }}
    not between air_time_minutes and air_time_minutes + 240
