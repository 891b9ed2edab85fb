-- "distinct from '3'" names no file.
select
    order_id as subject_id,
    ordered_at as known_at,
    cast(case when cast(shop_id as varchar) is distinct from '3' then 1 else 0 end as double)
        as feature_value
from {{ ref('orders') }}
