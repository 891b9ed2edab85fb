-- 3,000 orders in five shops over 45 days, around the change of clocks on 8 March 2026.
with numbers as (

    select
        i as order_id,
        hash(i * 3 + 1) % 3888000 as offset_seconds,
        hash(i * 5 + 2) % 5 as shop_number,
        hash(i * 7 + 3) % 60 as customer_number
    from range(3000) as numbered (i)

)

select
    order_id,
    cast(shop_number as bigint) as shop_id,
    cast(customer_number as bigint) as customer_id,
    timestamp '2026-02-15' + to_seconds(cast(offset_seconds as bigint)) as ordered_at,
    timestamp '2026-02-15' + to_seconds(cast(offset_seconds as bigint)) + interval 1 day as promised_at
from numbers
