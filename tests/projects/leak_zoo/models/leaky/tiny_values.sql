select
    order_id as subject_id,
    ordered_at as known_at,
    cast(1e-12 * count(*) over (partition by customer_id) as double) as feature_value
from {{ ref('orders') }}
