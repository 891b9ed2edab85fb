-- A local clock, written into a column that is read as UTC.
select
    order_id as subject_id,
    timezone('America/New_York', timezone('UTC', delivered_at)) as known_at,
    cast(delay_minutes as double) as feature_value
from {{ ref('deliveries') }}
