select
    order_id as subject_id,
    delivered_at as known_at,
    cast(lead(delay_minutes) over (partition by shop_id order by delivered_at, order_id) as double)
        as feature_value
from {{ ref('deliveries') }}
