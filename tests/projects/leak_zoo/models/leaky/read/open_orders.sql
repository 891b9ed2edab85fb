select
    order_id,
    created_at,
    amount
from {{ ref('order_log') }}
where version = 0
except
select
    order_log.order_id,
    order_log.created_at,
    order_log.amount
from {{ ref('order_log') }} as order_log
inner join {{ ref('closed_orders') }} as closed_orders on order_log.order_id = closed_orders.order_id
