with dated as (

    select
        order_id,
        ordered_at,
        cast(ordered_at as date) as current_date
    from {{ ref('orders') }}

)

select
    order_id as subject_id,
    ordered_at as known_at,
    cast(date_diff('day', date '2026-01-01', current_date) as double) as feature_value
from dated
