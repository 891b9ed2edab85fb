-- A table as a source has it, in two versions of each order; nothing says when a row of it was known.
select
    i as order_id,
    version,
    cast(hash(i * 5 + 2) % 5 as bigint) as shop_id,
    cast(hash(i * 7 + 3) % 20 as bigint) as customer_id,
    timestamp '2026-02-15' + to_minutes(cast(hash(i * 3 + 1) % 64800 as bigint)) as created_at,
    timestamp '2026-02-15' + to_minutes(cast(hash(i * 3 + 1) % 64800 as bigint))
    + to_days(cast(version * 2 as integer)) as updated_at,
    cast(hash(i * 11 + version) % 90 as bigint) as amount
from range(400) as numbered (i), range(2) as versions (version)
