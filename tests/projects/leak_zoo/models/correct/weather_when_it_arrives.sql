select
    shop_id as subject_id,
    known_at,
    temperature_celsius as feature_value
from {{ ref('weather') }}
