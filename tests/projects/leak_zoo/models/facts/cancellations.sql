select
    order_id,
    shop_id,
    ordered_at,
    ordered_at + to_minutes(cast(hash(order_id * 17 + 6) % 1200 as bigint)) as cancelled_at
from {{ ref('orders') }}
where hash(order_id * 13 + 5) % 10 = 0
