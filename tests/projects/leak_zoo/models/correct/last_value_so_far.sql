select
    order_id as subject_id,
    delivered_at as known_at,
    cast(last_value(delay_minutes) over (
        partition by shop_id order by delivered_at, order_id
        rows between unbounded preceding and current row
    ) as double) as feature_value
from {{ ref('deliveries') }}
