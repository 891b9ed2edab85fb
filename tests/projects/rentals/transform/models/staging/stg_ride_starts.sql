select
    ride_id,
    bike_id,
    station as station_code,
    started_at
from {{ ref('raw_rides') }}
