with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

bounds as (

    select
        {{ dbt.date_trunc('day', 'min(scheduled_departure_at)') }} as first_hour,
        {{ martfeast.window_end('max(scheduled_departure_at)', 'hour') }} as last_hour
    from schedules

)

select {{ martfeast.timestamp_series('first_hour', 'last_hour', 'hour') }} as hour_at
from bounds
