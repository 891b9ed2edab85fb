select
    order_id as subject_id,
    created_at as known_at,
    cast(amount as double) as feature_value
from {{ ref('orders_with_sum') }}
