-- Shuffled facts would be delivered before they are ordered, and the cast would fail.
select
    deliveries.order_id as subject_id,
    deliveries.delivered_at as known_at,
    cast(cast(date_diff('hour', orders.ordered_at, deliveries.delivered_at) as utinyint) as double)
        as feature_value
from {{ ref('deliveries') }} as deliveries
inner join {{ ref('orders') }} as orders on deliveries.order_id = orders.order_id
