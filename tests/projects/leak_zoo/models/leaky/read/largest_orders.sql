select
    order_id,
    created_at,
    amount
from {{ ref('order_log') }}
where version = 0
order by amount desc, order_id
limit 100
