select
    order_id as subject_id,
    delivered_at as known_at,
    cast(last_value(delay_minutes) over (
        partition by shop_id order by delivered_at
        rows between unbounded preceding and unbounded following
    ) as double) as feature_value
from {{ ref('deliveries') }}
