select
    orders.order_id as subject_id,
    orders.ordered_at as known_at,
    cast(shop_states_open.size_square_metres as double) as feature_value
from {{ ref('orders') }} as orders
left join {{ ref('shop_states_open') }} as shop_states_open
    on
        orders.shop_id = shop_states_open.shop_id
        and orders.ordered_at >= shop_states_open.dbt_valid_from
        and orders.ordered_at < shop_states_open.dbt_valid_to
