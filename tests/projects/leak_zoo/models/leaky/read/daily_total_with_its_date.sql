select
    order_id as subject_id,
    cast(ordered_on as timestamp) + interval 1 day as known_at,
    cast(order_count as double) as feature_value
from {{ ref('daily_totals') }}
