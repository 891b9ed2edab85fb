select
    order_id as subject_id,
    ordered_at as known_at,
    cast(case when '--' <> '' then epoch(age(ordered_at)) end as double) as feature_value
from {{ ref('orders') }}
