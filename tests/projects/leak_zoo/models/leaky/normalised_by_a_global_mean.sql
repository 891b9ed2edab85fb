select
    order_id as subject_id,
    delivered_at as known_at,
    delay_minutes - avg(delay_minutes) over () as feature_value
from {{ ref('deliveries') }}
