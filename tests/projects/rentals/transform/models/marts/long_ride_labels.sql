select
    starts.ride_id,
    starts.bike_id,
    starts.started_at as predicted_at,
    starts.station_code,
    rides.ridden_minutes > 60 as is_long,
    rides.ended_at as label_known_at,
    case when rides.ended_at is null then 'under_way' end as no_label_reason
from {{ ref('stg_ride_starts') }} as starts
left join {{ ref('stg_rides') }} as rides on starts.ride_id = rides.ride_id
