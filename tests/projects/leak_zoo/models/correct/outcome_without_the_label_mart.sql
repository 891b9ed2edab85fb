select
    order_id as subject_id,
    delivered_at as known_at,
    cast(case when delay_minutes > 60 then 1 else 0 end as double) as feature_value
from {{ ref('deliveries') }}
