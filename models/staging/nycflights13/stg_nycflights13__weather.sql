with source as (

    select * from {{ source('nycflights13', 'weather') }}

)

select
    origin as origin_airport_code,
    time_hour as observed_at,
    {{ dbt.dateadd(
        'minute', var('weather_known_after_observation_minutes'), 'time_hour'
    ) }} as known_at,
    cast(temp as double) as temperature_fahrenheit,
    cast(dewp as double) as dew_point_fahrenheit,
    cast(humid as double) as relative_humidity_percent,
    cast(wind_dir as integer) as wind_direction_degrees,
    cast(wind_speed as double) as wind_speed_miles_per_hour,
    cast(wind_gust as double) as wind_gust_miles_per_hour,
    cast(precip as double) as precipitation_inches,
    cast(pressure as double) as pressure_millibars,
    cast(visib as double) as visibility_miles,
    loaded_at
from source
