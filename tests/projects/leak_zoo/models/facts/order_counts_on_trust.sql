-- It says why its moment is right: the log of a day is closed when the day is over.
select
    shop_id,
    date_trunc('day', created_at) + interval 1 day as known_at,
    count(*) as order_count
from {{ ref('order_log') }}
group by shop_id, date_trunc('day', created_at)
