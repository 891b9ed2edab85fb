select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', ordered_at, cast(current_date.strftime('%Y-%m-%d') as timestamp)) as double)
        as feature_value
from {{ ref('orders') }}
