with by_moment as (

    select
        shop_id,
        delivered_at,
        sum(case when delay_minutes > 60 then 1 else 0 end) as late_count,
        count(*) as delivery_count
    from {{ ref('deliveries') }}
    group by shop_id, delivered_at

)

select
    shop_id as subject_id,
    delivered_at as known_at,
    cast(sum(late_count) over so_far / sum(delivery_count) over so_far as double) as feature_value
from by_moment
window so_far as (partition by shop_id order by delivered_at)
