select
    station_code as Station_Code,
    ended_at as Known_At,
    count(*) over (partition by station_code order by ended_at) as Ride_Count
from {{ ref('stg_rides') }}
