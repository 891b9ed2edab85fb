with deduplicated as (

    select *
    from {{ ref('deliveries') }}
    qualify row_number() over (partition by customer_id order by delivered_at desc) = 1

)

select
    customer_id as subject_id,
    delivered_at as known_at,
    cast(delay_minutes as double) as feature_value
from deduplicated
