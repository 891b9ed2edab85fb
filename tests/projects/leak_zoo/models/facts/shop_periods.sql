-- A table as a source has it: the states of each shop, with their ends, which were filled in later.
select
    cast(shop as bigint) as shop_id,
    80 + cast(hash(shop * 10 + period) % 200 as bigint) as size_square_metres,
    timestamp '2026-02-15' + to_days(cast(period * 9 as integer)) as valid_from,
    timestamp '2026-02-15' + to_days(cast(period * 9 + 9 as integer)) as valid_to,
    period = 4 as is_current
from range(5) as shops (shop), range(5) as periods (period)
