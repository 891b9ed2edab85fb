select
    shop_id as subject_id,
    known_at,
    avg(temperature_celsius) over (
        partition by shop_id order by known_at rows between 3 preceding and 3 following
    ) as feature_value
from {{ ref('weather') }}
