select
    cast(hour_of_day as bigint) as subject_id,
    known_at,
    cast(has_orders as double) as feature_value
from {{ ref('hours_with_orders') }}
