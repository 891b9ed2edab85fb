select
    order_id,
    shop_id,
    customer_id,
    promised_at,
    cast(hash(order_id * 11 + 4) % 600 as bigint) - 200 as delay_minutes,
    promised_at + to_minutes(cast(hash(order_id * 11 + 4) % 600 as bigint) - 200) as delivered_at
from {{ ref('orders') }}
where hash(order_id * 13 + 5) % 10 > 0
