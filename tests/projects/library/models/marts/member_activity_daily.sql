select
    cast(member_id as bigint) as member_id,
    known_at,
    cast(loan_count_30d as bigint) as loan_count_30d,
    overdue_share_30d,
    is_student,
    string_split(favourite_genres, '|') as favourite_genres,
    last_visit_at
from {{ ref('member_days') }}
