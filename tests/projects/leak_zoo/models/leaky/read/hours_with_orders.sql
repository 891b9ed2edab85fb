-- Hours are a definition; whether an order will come in one is not.
select
    time_bands.hour_of_day,
    timestamp '2026-02-15' + to_hours(cast(time_bands.hour_of_day as bigint)) as known_at,
    order_log.order_id is not null as has_orders
from {{ ref('time_bands') }} as time_bands
left join {{ ref('order_log') }} as order_log
    on time_bands.hour_of_day = hour(order_log.created_at) and order_log.order_id < 40 and order_log.version = 0
