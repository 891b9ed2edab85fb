select
    customers.customer_id,
    customers.first_name,
    count(orders.order_id) as order_count,
    min(orders.ordered_at) as first_ordered_at,
    sum(orders.total_euros) as ordered_euros,
    count_if(orders.status = 'cancelled') as cancelled_count
from {{ ref('stg_customers') }} as customers
left join {{ ref('stg_orders') }} as orders on customers.customer_id = orders.customer_id
group by customers.customer_id, customers.first_name
