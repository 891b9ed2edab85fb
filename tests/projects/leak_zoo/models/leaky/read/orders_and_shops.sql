select
    order_log.order_id,
    order_log.created_at,
    shop_directory.size_square_metres
from {{ ref('order_log') }} as order_log
inner join {{ ref('shop_directory') }} as shop_directory on order_log.shop_id = shop_directory.shop_id
where order_log.version = 0
