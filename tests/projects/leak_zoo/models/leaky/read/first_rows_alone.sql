select
    order_id as subject_id,
    created_at as known_at,
    cast(amount as double) as feature_value
from {{ ref('largest_orders') }}
