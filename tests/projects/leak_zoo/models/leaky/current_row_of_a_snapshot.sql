select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(shop_states.size_square_metres as double) as feature_value
from {{ ref('orders') }} as orders
left join {{ ref('shop_states') }} as shop_states
    on orders.shop_id = shop_states.shop_id and shop_states.dbt_valid_to is null
