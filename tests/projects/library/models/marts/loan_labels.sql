select
    cast(member_id as bigint) as member_id,
    branch_code,
    cast(title_id as integer) as title_id,
    lent_at as predicted_at,
    returned_at > due_at as is_overdue,
    returned_at as label_known_at,
    case when returned_at is null then 'not_returned' end as no_label_reason
from {{ ref('loan_events') }}
