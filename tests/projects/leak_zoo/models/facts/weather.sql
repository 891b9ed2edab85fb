-- An observation is known 50 minutes after it was made.
select
    cast(shop as bigint) as shop_id,
    timestamp '2026-02-15' + to_hours(cast(hour as bigint)) as observed_at,
    timestamp '2026-02-15' + to_hours(cast(hour as bigint)) + interval 50 minute as known_at,
    case
        when hash(shop * 1000 + hour) % 8 > 0 then cast(hash(shop * 1000 + hour) % 300 as double) / 10
    end as temperature_celsius
from range(5) as shops (shop), range(1080) as hours (hour)
