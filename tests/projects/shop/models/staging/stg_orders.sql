select
    id as order_id,
    customer as customer_id,
    channel,
    total_cents / 100 as total_euros,
    status,
    ordered_at
from {{ ref('raw_orders') }}
