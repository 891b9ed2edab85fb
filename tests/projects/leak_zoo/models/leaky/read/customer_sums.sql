select
    customer_id,
    min(created_at) as first_created_at,
    sum(amount) as amount
from {{ ref('order_log') }}
group by customer_id
