with encoding as (

    select
        shop_id,
        avg(case when delay_minutes > 60 then 1 else 0 end) as late_share
    from {{ ref('deliveries') }}
    group by shop_id

)

select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    encoding.late_share as feature_value
from {{ ref('orders') }} as orders
inner join encoding on orders.shop_id = encoding.shop_id
