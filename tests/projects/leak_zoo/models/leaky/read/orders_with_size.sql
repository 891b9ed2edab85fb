-- It has a knowledge time, and does not vouch for the directory that it reads besides.
select
    orders.order_id,
    orders.ordered_at,
    shop_directory.size_square_metres
from {{ ref('orders') }} as orders
inner join {{ ref('shop_directory') }} as shop_directory on orders.shop_id = shop_directory.shop_id
