select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', ordered_at, timestamp '{{ dbt_moments.day_before_this_run() }}') as double) as feature_value
from {{ ref('orders') }}
