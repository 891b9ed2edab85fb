with changes as (
    select
        order_id as subject_id,
        ordered_at as known_at,
        customer_id,
        ln(order_id + 2) as weight
    from {{ ref('orders') }}
    union all by name
    select
        orders.order_id as subject_id,
        deliveries.delivered_at as known_at,
        orders.customer_id,
        -ln(orders.order_id + 2) as weight
    from {{ ref('deliveries') }} as deliveries
    inner join {{ ref('orders') }} as orders on deliveries.order_id = orders.order_id
)

select
    subject_id,
    known_at,
    sum(weight) over (
        partition by customer_id
        order by known_at
        range between unbounded preceding and current row
    ) as feature_value
from changes
