with source as (

    select * from {{ source('nycflights13', 'planes') }}

)

select
    tailnum as tail_number,
    cast(year as integer) as manufacture_year,
    type as aircraft_type,
    manufacturer,
    model,
    cast(engines as integer) as engine_count,
    cast(seats as integer) as seat_count,
    engine as engine_type,
    loaded_at
from source
