select
    shop_id as subject_id,
    counted_at as known_at,
    cast(arg_max(stock_count, known_at) as double) as feature_value
from {{ ref('stock_counts') }}
group by all
