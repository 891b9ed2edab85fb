select
    orders.shop_id as subject_id,
    orders.ordered_at as known_at,
    cast(count(cancellations.order_id) as double) as feature_value
from {{ ref('orders') }} as orders
left join {{ ref('cancellations') }} as cancellations on orders.order_id = cancellations.order_id
group by all
