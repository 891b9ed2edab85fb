select
    order_id as subject_id,
    timezone('UTC', ordered_at) as known_at,
    cast(shop_id as double) as feature_value
from {{ ref('zoned_orders') }}
