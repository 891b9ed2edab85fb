select
    order_id,
    created_at,
    count(*) over (partition by customer_id) as customer_order_count
from {{ ref('order_log') }}
where version = 0
