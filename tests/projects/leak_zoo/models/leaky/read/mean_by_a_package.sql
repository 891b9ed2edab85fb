-- depends_on: {{ ref('deliveries') }}
select
    order_id as subject_id,
    delivered_at as known_at,
    cast(delay_minutes - {{ dbt_moments.mean_of(ref('deliveries'), 'delay_minutes') }} as double) as feature_value
from {{ ref('deliveries') }}
