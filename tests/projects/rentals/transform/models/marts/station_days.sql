-- What was counted by date is known when the date is over.
with rides as (
    select
        station_code,
        ended_at::date as day,
        count(*) as ride_count
    from {{ ref('stg_rides') }}
    group by all
)

select
    weather.station as station_code,
    weather.day + interval 1 day as known_at,
    coalesce(rides.ride_count, 0) as ride_count,
    weather.rain_millimetres
from {{ ref('raw_weather') }} as weather
left join rides on weather.station = rides.station_code and weather.day = rides.day
