select
    loan_id,
    member_id,
    branch_code,
    title_id,
    lent_at,
    due_at
from {{ ref('loan_events') }}
