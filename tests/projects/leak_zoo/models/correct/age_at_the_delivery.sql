-- age() of two moments reads no clock.
select
    order_id as subject_id,
    delivered_at as known_at,
    cast(epoch(age(delivered_at, promised_at)) as double) as feature_value
from {{ ref('deliveries') }}
