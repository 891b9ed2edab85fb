select
    shop_id as subject_id,
    observed_at as known_at,
    temperature_celsius as feature_value
from {{ ref('weather') }}
