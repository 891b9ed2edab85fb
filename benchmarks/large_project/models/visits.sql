select
    cast(i % 200000 as bigint) as customer_id,
    cast(timestamp '2025-01-01' + to_seconds(i * 31536000 // {{ var('visit_count') }}) as timestamp)
        as predicted_at,
    (hash(i) % 100) < 20 as has_bought,
    cast(
        timestamp '2025-01-01'
        + to_seconds(i * 31536000 // {{ var('visit_count') }})
        + to_minutes(cast(30 + hash(i, 1) % 1000 as bigint)) as timestamp
    ) as label_known_at,
    'shop_' || hash(i, 2) % 12 as shop_code
from range({{ var('visit_count') }}) as visits (i)
