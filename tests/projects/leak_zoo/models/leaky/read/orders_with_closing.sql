select
    order_id,
    created_at,
    cast(order_id in (select order_id from {{ ref('closed_orders') }}) as integer) as is_closed
from {{ ref('order_log') }}
where version = 0
