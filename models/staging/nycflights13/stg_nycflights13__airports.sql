with source as (

    select * from {{ source('nycflights13', 'airports') }}

)

select
    faa as airport_code,
    name as airport_name,
    cast(lat as double) as latitude_degrees,
    cast(lon as double) as longitude_degrees,
    cast(alt as integer) as altitude_feet,
    tzone as time_zone,
    loaded_at
from source
