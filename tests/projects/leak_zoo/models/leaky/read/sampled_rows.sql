select
    order_id as subject_id,
    ordered_at as known_at,
    cast(1 as double) as feature_value
from {{ ref('orders') }} tablesample bernoulli (10 percent)
