select
    order_id as subject_id,
    ordered_at as known_at,
    cast(renamed.current_date + date_diff('day', ordered_at, cast(today() as timestamp)) as double) as feature_value
from (
    select
        order_id,
        ordered_at,
        customer_id as current_date
    from {{ ref('orders') }}
) as renamed
