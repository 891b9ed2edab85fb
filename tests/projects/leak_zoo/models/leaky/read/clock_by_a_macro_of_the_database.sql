select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', ordered_at, cast(cast(pg_postmaster_start_time() as date) as timestamp)) as double) as feature_value
from {{ ref('orders') }}
