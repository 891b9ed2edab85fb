select
    order_id,
    shop_id,
    timezone('UTC', ordered_at) as ordered_at
from {{ ref('orders') }}
