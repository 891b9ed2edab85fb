select
    shop_id as subject_id,
    known_at,
    cast(order_count as double) as feature_value
from {{ ref('order_counts_on_trust') }}
