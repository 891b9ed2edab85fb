select
    shop_id as order_id,
    valid_from,
    cast(is_current as integer) as is_current
from {{ ref('shop_periods') }}
