select
    branch_code,
    cast(title_id as integer) as title_id,
    known_at,
    cast(copies_free as integer) as copies_free,
    waiting_days,
    shelf_mark
from {{ ref('shelf_checks') }}
