-- Each row is made of one, and knows an end that was filled in later.
select
    shop_id as order_id,
    valid_from,
    date_diff('day', valid_from, valid_to) as days_left
from {{ ref('shop_periods') }}
