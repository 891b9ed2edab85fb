select
    order_id as subject_id,
    ordered_at as known_at,
    cast({{ range(1000) | random }} as double) as feature_value
from {{ ref('orders') }}
