select
    order_id as subject_id,
    ordered_at as known_at,
    cast({{ invocation_id[0:1] | int(0, 16) }} as double) as feature_value
from {{ ref('orders') }}
