select distinct on (customer_id)
    order_id,
    created_at,
    amount
from {{ ref('order_log') }}
where version = 0
order by customer_id, amount desc, order_id
