-- The date is known when it is over, and yet the log of it is not complete then.
select
    shop_id as order_id,
    cast(updated_at as date) as ordered_on,
    count(*) as order_count
from {{ ref('order_log') }}
group by shop_id, cast(updated_at as date)
