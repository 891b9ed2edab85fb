-- The state is a model of its own, without knowledge time, built on facts that have one.
select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(customer_state.order_count as double) as feature_value
from {{ ref('orders') }} as orders
inner join {{ ref('customer_state') }} as customer_state
    on orders.customer_id = customer_state.customer_id
