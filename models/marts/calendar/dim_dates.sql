with hours as (

    select * from {{ ref('int_hours') }}

)

select
    cast(hour_at as date) as date_day,
    cast(extract(year from hour_at) as integer) as calendar_year,
    cast(extract(month from hour_at) as integer) as month_of_year,
    cast({{ iso_day_of_week('hour_at') }} as integer) as iso_day_of_week,
    {{ iso_day_of_week('hour_at') }} >= 6 as is_weekend
from hours
where hour_at = {{ dbt.date_trunc('day', 'hour_at') }}
