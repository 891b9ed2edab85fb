select
    id as customer_id,
    first_name,
    signed_up_at
from {{ ref('raw_customers') }}
