select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(orders.shop_id as double) as feature_value
from query('select order_id, shop_id, ordered_at from {{ ref("orders") }}') as orders
