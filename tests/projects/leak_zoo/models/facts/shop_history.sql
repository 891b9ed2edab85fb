-- The directory with its history: each shop was rebuilt once, on a day of its own.
select
    shop_id,
    size_square_metres,
    timestamp '2026-01-01' as valid_from
from {{ ref('shop_directory') }}

union all

select
    shop_id,
    size_square_metres + 40 as size_square_metres,
    timestamp '2026-02-25 10:00:00' + to_days(cast(shop_id * 4 as integer)) as valid_from
from {{ ref('shop_directory') }}
