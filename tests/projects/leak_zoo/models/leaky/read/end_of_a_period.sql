select
    order_id as subject_id,
    valid_from as known_at,
    cast(days_left as double) as feature_value
from {{ ref('shop_states_with_end') }}
