select
    order_id as subject_id,
    ordered_at as known_at,
    cast(extract(hour from timezone('America/New_York', timezone('UTC', ordered_at))) as double)
        as feature_value
from {{ ref('orders') }}
