select
    order_id as subject_id,
    created_at as known_at,
    cast(amount + cast(is_rush_hour as integer) as double) as feature_value
from {{ ref('order_amounts') }}
