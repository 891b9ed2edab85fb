select
    shop_id as subject_id,
    known_at,
    cast(arg_max(stock_count, counted_at) as double) as feature_value
from {{ ref('stock_counts') }}
group by all
