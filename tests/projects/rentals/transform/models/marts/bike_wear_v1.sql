select
    bike_id,
    ended_at as known_at,
    sum(ridden_minutes) over (partition by bike_id order by ended_at) as wear_minutes,
    count(*) over (partition by bike_id order by ended_at) as ride_count
from {{ ref('stg_rides') }}
