-- Rows of the log, each made of one: renamed, cast, filtered, and joined to what was always known.
with first_versions as (

    select distinct
        order_id,
        shop_id,
        cast(amount as double) as amount,
        created_at
    from {{ ref('order_log') }}
    where version = 0

)

select
    first_versions.order_id,
    first_versions.shop_id,
    first_versions.amount,
    first_versions.created_at,
    coalesce(time_bands.is_rush_hour, false) as is_rush_hour
from first_versions
left join {{ ref('time_bands') }} as time_bands
    on hour(first_versions.created_at) = time_bands.hour_of_day
