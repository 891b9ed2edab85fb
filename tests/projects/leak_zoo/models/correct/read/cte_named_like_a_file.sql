with "v1.orders" as (

    select
        order_id,
        ordered_at,
        shop_id
    from {{ ref('orders') }}

)

select
    order_id as subject_id,
    ordered_at as known_at,
    cast(shop_id as double) as feature_value
from "v1.orders"
