select
    ride_id,
    bike_id,
    station as station_code,
    started_at,
    ended_at,
    date_diff('second', started_at, ended_at) / 60 as ridden_minutes
from {{ ref('raw_rides') }}
