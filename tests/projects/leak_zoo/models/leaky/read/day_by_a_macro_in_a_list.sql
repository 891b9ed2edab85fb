select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', ordered_at, timestamp '{{ first_of_macros() }}') as double) as feature_value
from {{ ref('orders') }}
