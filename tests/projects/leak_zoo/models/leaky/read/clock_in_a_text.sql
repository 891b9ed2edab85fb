select
    order_id as subject_id,
    ordered_at as known_at,
    cast(day_of_build.day_number as double) as feature_value
from {{ ref('orders') }},
    query('select date_diff(''day'', date ''2026-01-01'', current_date) as day_number') as day_of_build
