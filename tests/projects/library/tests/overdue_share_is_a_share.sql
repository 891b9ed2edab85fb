select *
from {{ ref('member_activity_daily') }}
where overdue_share_30d < 0 or overdue_share_30d > 1
