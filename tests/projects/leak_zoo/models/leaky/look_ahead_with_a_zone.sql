select
    orders.order_id as subject_id,
    timezone('UTC', orders.ordered_at) as known_at,
    cast(count(later.order_id) as double) as feature_value
from {{ ref('zoned_orders') }} as orders
left join {{ ref('zoned_orders') }} as later
    on
        orders.shop_id = later.shop_id
        and later.ordered_at > orders.ordered_at
        and later.ordered_at <= orders.ordered_at + interval 3 hour
group by all
