select
    id as payment_id,
    order_id,
    method,
    amount_cents / 100 as amount_euros,
    paid_at
from {{ ref('raw_payments') }}
