select
    loan_id,
    returned_at
from {{ ref('loan_events') }}
where returned_at is not null
