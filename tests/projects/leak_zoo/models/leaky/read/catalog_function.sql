select
    order_id as subject_id,
    ordered_at as known_at,
    cast(counted.row_count as double) as feature_value
from {{ ref('orders') }},
    (select max(estimated_size) as row_count from duckdb_tables() where table_name = 'orders') as counted
