-- One row per shop and day, out before the day begins.
select
    cast(shop as bigint) as shop_id,
    date '2026-02-15' + cast(day as integer) as priced_on,
    cast(hash(shop * 100 + day) % 900 as double) / 100 as price
from range(5) as shops (shop), range(45) as days (day)
