select
    shop_id as subject_id,
    known_at,
    coalesce(
        temperature_celsius,
        first_value(temperature_celsius ignore nulls) over (
            partition by shop_id order by known_at
            rows between current row and unbounded following
        )
    ) as feature_value
from {{ ref('weather') }}
