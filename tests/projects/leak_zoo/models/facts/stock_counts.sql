-- Each night's stock is counted at midnight, and half of the counts are corrected two days later.
with counts as (

    select
        cast(shop as bigint) as shop_id,
        timestamp '2026-02-15' + to_days(cast(day as integer)) as counted_at,
        cast(hash(shop * 100 + day) % 500 as bigint) as stock_count
    from range(5) as shops (shop), range(45) as days (day)

)

select
    shop_id,
    counted_at,
    stock_count,
    counted_at as known_at
from counts

union all

select
    shop_id,
    counted_at,
    stock_count + 17 as stock_count,
    counted_at + interval 2 day as known_at
from counts
where stock_count % 2 = 0
