with hourly as (

    select
        shop_id,
        date_trunc('hour', delivered_at) + interval 1 hour as hour_end_at,
        count(*) as delivery_count
    from {{ ref('deliveries') }}
    group by all

)

select
    shop_id as subject_id,
    hour_end_at as known_at,
    cast(sum(delivery_count) over (
        partition by shop_id order by hour_end_at
        range between interval 23 hour preceding and current row
    ) as double) as feature_value
from hourly
