select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(shop_history.size_square_metres as double) as feature_value
from {{ ref('orders') }} as orders
asof left join {{ ref('shop_history') }} as shop_history
    on orders.shop_id = shop_history.shop_id and orders.ordered_at >= shop_history.valid_from
