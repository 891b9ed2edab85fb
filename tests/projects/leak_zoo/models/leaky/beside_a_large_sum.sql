select
    order_id as subject_id,
    ordered_at as known_at,
    case
        when order_id % 5 = 0 then 1e15 + sum(0.1 * order_id) over (order by ordered_at)
        else 0.01 * count(*) over (partition by customer_id)
    end as feature_value
from {{ ref('orders') }}
