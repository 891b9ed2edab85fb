select
    order_id as subject_id,
    created_at as known_at,
    cast(size_square_metres as double) as feature_value
from {{ ref('orders_and_shops') }}
