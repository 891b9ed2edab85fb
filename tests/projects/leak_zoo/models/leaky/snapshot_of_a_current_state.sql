select
    customer_id as subject_id,
    dbt_valid_from as known_at,
    cast(order_count as double) as feature_value
from {{ ref('customer_states') }}
