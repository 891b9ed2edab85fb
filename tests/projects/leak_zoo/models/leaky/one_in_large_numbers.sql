select
    order_id as subject_id,
    ordered_at as known_at,
    cast(epoch(ordered_at) as double)
    + cast(lead(order_id) over (partition by customer_id order by ordered_at) is not null as integer)
        as feature_value
from {{ ref('orders') }}
