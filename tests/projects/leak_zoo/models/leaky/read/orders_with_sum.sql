select
    customer_id as order_id,
    first_created_at as created_at,
    amount
from {{ ref('customer_sums') }}
