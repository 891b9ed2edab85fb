select
    shop_id as subject_id,
    cast(priced_on as timestamp) as known_at,
    price as feature_value
from {{ ref('price_list') }}
