{% set opened = modules.datetime.datetime(2026, 1, 1) + modules.datetime.timedelta(days=7) %}
select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', timestamp '{{ opened.isoformat() }}', ordered_at) as double) as feature_value
from {{ ref('orders') }}
