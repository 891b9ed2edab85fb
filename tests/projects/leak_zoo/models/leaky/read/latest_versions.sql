-- The latest version of each order, with the moment of the first.
select
    order_id,
    amount,
    created_at
from {{ ref('order_log') }}
qualify row_number() over (partition by order_id order by updated_at desc) = 1
