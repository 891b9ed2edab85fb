select
    shop_id as subject_id,
    cast(ordered_on as timestamp) + interval 1 day as known_at,
    cast(count(*) as double) as feature_value
from {{ ref('dated_orders') }}
group by all
