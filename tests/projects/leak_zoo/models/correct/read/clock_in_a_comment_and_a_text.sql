-- Not by now(), and not by run_query.
select
    order_id as subject_id,
    ordered_at as known_at,
    cast(cast(shop_id as varchar) = 'current_date or {{ "run_started_at" }}' as double) as feature_value
from {{ ref('orders') }}
