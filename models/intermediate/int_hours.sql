with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

bounds as (

    select
        {{ dbt.date_trunc('day', 'min(scheduled_departure_at)') }} as first_hour,
        {{ dbt.date_trunc('day', 'max(scheduled_departure_at)') }} + interval 2 day as last_hour
    from schedules

)

select {{ timestamp_series('first_hour', 'last_hour', 'hour') }} as hour_at
from bounds
