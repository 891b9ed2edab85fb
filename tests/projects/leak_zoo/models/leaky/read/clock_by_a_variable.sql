{% set calendar = modules.datetime.date %}

select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', ordered_at, timestamp '{{ calendar.today() }}') as double) as feature_value
from {{ ref('orders') }}
