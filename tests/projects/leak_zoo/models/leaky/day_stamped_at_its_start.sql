select
    shop_id as subject_id,
    date_trunc('day', ordered_at) as known_at,
    cast(count(*) as double) as feature_value
from {{ ref('orders') }}
group by all
