select
    order_id as subject_id,
    ordered_at as known_at,
    cast(counted.table_count as double) as feature_value
from {{ ref('orders') }},
    (select count(*) as table_count from information_schema.tables) as counted
