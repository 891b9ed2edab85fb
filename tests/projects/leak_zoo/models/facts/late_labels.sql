select
    orders.order_id as subject_id,
    orders.ordered_at as predicted_at,
    deliveries.delay_minutes > 60 as is_late,
    deliveries.delivered_at as label_known_at
from {{ ref('orders') }} as orders
left join {{ ref('deliveries') }} as deliveries on orders.order_id = deliveries.order_id
