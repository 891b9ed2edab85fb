with registry as (

    select * from {{ ref('stg_nycflights13__planes') }}

),

flown as (

    select distinct tail_number
    from {{ ref('int_flight_schedules') }}
    where tail_number is not null

)

select
    coalesce(flown.tail_number, registry.tail_number) as tail_number,
    registry.tail_number is not null as is_in_registry,
    registry.manufacture_year,
    registry.aircraft_type,
    registry.manufacturer,
    registry.model,
    registry.engine_count,
    registry.seat_count,
    registry.engine_type
from flown
full outer join registry on flown.tail_number = registry.tail_number
