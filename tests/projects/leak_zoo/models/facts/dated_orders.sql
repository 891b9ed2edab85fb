-- 2,000 orders of a source that has the date and no time of day.
select
    i as order_id,
    cast(hash(i * 5 + 2) % 5 as bigint) as shop_id,
    date '2026-02-15' + cast(hash(i * 3 + 1) % 45 as integer) as ordered_on
from range(2000) as numbered (i)
