select
    cast(loans.member_id as bigint) as member_id,
    loans.branch_code,
    cast(loans.title_id as integer) as title_id,
    loans.lent_at as predicted_at,
    loan_returns.returned_at > loans.due_at as is_overdue,
    loan_returns.returned_at as label_known_at,
    case when loan_returns.returned_at is null then 'not_returned' end as no_label_reason
from {{ ref('loans') }} as loans
left join {{ ref('loan_returns') }} as loan_returns on loans.loan_id = loan_returns.loan_id
