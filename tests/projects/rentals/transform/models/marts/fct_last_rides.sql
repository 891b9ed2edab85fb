{{ config(alias='last_rides', schema='operations') }}

select
    station_code,
    ended_at as known_at,
    list(bike_id) over (
        partition by station_code
        order by ended_at
        rows between 2 preceding and current row
    ) as last_bikes,
    date_trunc('second', max(started_at) over (partition by station_code order by ended_at)) as last_started_at
from {{ ref('stg_rides') }}
