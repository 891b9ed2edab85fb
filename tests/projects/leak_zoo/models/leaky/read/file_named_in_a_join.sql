select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(shops.size_square_metres as double) as feature_value
from {{ ref('orders') }} as orders
inner join 'seeds/shop_directory.csv' as shops on orders.shop_id = shops.shop_id
