select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(shop_directory.size_square_metres as double) as feature_value
from {{ ref('orders') }} as orders
inner join {{ ref('shop_directory') }} as shop_directory on orders.shop_id = shop_directory.shop_id
