{% set mean_delay = 0 %}
{% if execute %}
    {% set mean_delay = run_query('select avg(delay_minutes) from ' ~ ref('deliveries')).rows[0][0] %}
{% endif %}

select
    order_id as subject_id,
    delivered_at as known_at,
    cast(delay_minutes - {{ mean_delay }} as double) as feature_value
from {{ ref('deliveries') }}
