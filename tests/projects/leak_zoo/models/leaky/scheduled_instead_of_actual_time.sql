select
    shop_id as subject_id,
    promised_at as known_at,
    cast(avg(delay_minutes) as double) as feature_value
from {{ ref('deliveries') }}
group by all
