with weather as (

    select * from {{ ref('stg_nycflights13__weather') }}
    where {{ martfeast.in_increment('known_at', look_back='3 hours') }}

)

select
    origin_airport_code,
    known_at,
    observed_at,
    temperature_fahrenheit,
    dew_point_fahrenheit,
    -- One reading of over 1,000 miles per hour is a broken sensor, not weather.
    case
        when wind_speed_miles_per_hour <= 200 then wind_speed_miles_per_hour
    end as wind_speed_miles_per_hour,
    visibility_miles,
    pressure_millibars,
    precipitation_inches,
    cast(
        sum(precipitation_inches) over last_3_hours as double
    ) as precipitation_inches_3h
from weather
window last_3_hours as {{ rolling_window('origin_airport_code', 'known_at', 3) }}
