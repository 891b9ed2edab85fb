select
    order_id as subject_id,
    ordered_at as known_at,
    cast(days.day_count as double) as feature_value
from {{ ref('orders') }},
    (select count(*) as day_count from range(timestamp '2026-01-01', cast(current_date as timestamp), interval 1 day)) as days
