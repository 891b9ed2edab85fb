select
    branch_code,
    known_at,
    cast(sum(copies_free) as bigint) as branch_copies_free
from {{ source('library', 'title_availability') }}
group by branch_code, known_at
